// What all pages share: words, requests, alarms, and the stage with a picture and its heat map.
const words = JSON.parse(document.getElementById("words").textContent);
const csrf = document.querySelector("meta[name=csrf]").content;

export const say = (key) => words[key] ?? key;
export const byId = (id) => document.getElementById(id);
export const put = (id, text) => { const found = byId(id); if (found) found.textContent = text; };
export const stationPath = (station) => `/api/v1/stations/${encodeURIComponent(station)}`;
export const partPath = (station, part) => `${stationPath(station)}/parts/${encodeURIComponent(part)}`;

export function listItem(text, verdict = "") {
    const item = document.createElement("li");
    item.textContent = text;
    item.dataset.verdict = verdict;
    return item;
}

export async function ask(path, body, token = csrf, signal = null) {
    const sent = body === undefined ? { signal } : {
        signal, method: "POST", body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    };
    const reply = await fetch(path, sent).catch(() => { throw new Error(say("connection lost")); });
    if (reply.status === 401 && location.pathname !== "/login") location.assign("/login");
    const found = reply.status === 204 ? {} : await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Error(typeof found.detail === "string" ? found.detail : `${reply.status}`);
    return found;
}

export function showVerdict(verdict) {
    const place = byId("verdict");
    place.dataset.verdict = verdict;
    place.textContent = verdict ? say(verdict) : say("no part yet");
}

let kept = [], view = "";

export function showPictures(pictures) {
    kept = pictures;
    const names = [...new Set(pictures.map((each) => each.view))];
    view = names.includes(view) ? view : names[0] ?? "";
    byId("views").replaceChildren(...(names.length < 2 ? [] : names.map(choice)));
    const source = (kind) => kept.find((each) => each.view === view && each.kind === kind)?.n;
    for (const kind of ["shown", "heat"]) {
        const number = source(kind), place = byId(kind);
        if (number) place.src = `/api/v1/pictures/${number}`;
        place.hidden = !number || (kind === "heat" && byId("toggle").ariaPressed !== "true");
    }
    byId("empty").hidden = Boolean(source("shown"));
    document.dispatchEvent(new CustomEvent("view", { detail: view }));
}

function choice(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.ariaPressed = String(name === view);
    button.addEventListener("click", () => { view = name; showPictures(kept); });
    return button;
}

export function toggleHeat() {
    byId("toggle").ariaPressed = String(byId("toggle").ariaPressed !== "true");
    showPictures(kept);
}

const alarms = new Map();
let asked = 0, answered = 0;

export function raise(subject, said) {
    if (said) alarms.set(subject, said); else alarms.delete(subject);
    showAlarms();
}

function showAlarms() {
    byId("alarms").replaceChildren(...[...alarms.values()].map((text) => {
        const line = document.createElement("p");
        line.textContent = text;
        return line;
    }));
}

// What waits for a review. A count whose reply comes after that to a later question is not shown.
export async function readReview() {
    const turn = ++asked, found = await ask("/api/v1/review");
    if (turn > answered) {
        answered = turn;
        showWaiting(found.waiting);
    }
    return found;
}

// How many parts wait, and what is wrong, as it is now.
function readLine() {
    readReview();
    ask("/api/v1/health").then((found) => {
        alarms.clear();
        for (const [subject, said] of Object.entries(found.alarms)) alarms.set(subject, said);
        showAlarms();
    });
}

const silence = 40_000, pause = 2_000, patience = 10_000;

// A line says at least every 15 s that it is there. Where it does not, that is shown until it answers again; `catchUp`
// then shows what came meanwhile. By itself a browser tries again after some failures only, and never minds silence.
export function listen(handlers, catchUp) {
    const told = {
        ...handlers, lost: catchUp, here: () => {}, alarm: ({ subject, said }) => raise(subject, said),
    };
    let source, heard, isLost = false, isAsking = false;
    const lose = () => { isLost = true; raise("connection", say("connection lost")); };
    const open = () => {
        source?.close();
        source = new EventSource("/api/v1/events");
        heard = Date.now();
        for (const [kind, handle] of Object.entries(told)) {
            source.addEventListener(kind, (event) => { heard = Date.now(); handle(JSON.parse(event.data)); });
        }
        source.addEventListener("error", lose);
        source.addEventListener("open", () => {
            heard = Date.now();
            if (!isLost) return;
            isLost = false;
            readLine();
            catchUp();
        });
    };
    open();
    setInterval(async () => {
        if (isAsking || (source.readyState !== EventSource.CLOSED && Date.now() - heard < silence)) return;
        isAsking = true;
        lose();
        await ask("/api/v1/me", undefined, csrf, AbortSignal.timeout(patience)).then(open, () => {});
        isAsking = false;
    }, pause);
}

// Pieces of a page as the server draws it now take the place of those that are shown.
export async function redraw(path, ...ids) {
    const reply = await fetch(path);
    if (!reply.ok || reply.redirected) return;
    const found = new DOMParser().parseFromString(await reply.text(), "text/html");
    for (const id of ids) byId(id).replaceWith(found.getElementById(id));
    showTimes();
}

function showWaiting(count) {
    const place = byId("waiting");
    place.textContent = count;
    place.hidden = !count;
}

export function showTimes() {
    for (const each of document.querySelectorAll("time[data-at]")) {
        each.textContent = new Date(1000 * each.dataset.at).toLocaleString(document.documentElement.lang);
    }
}

showTimes();
byId("toggle")?.addEventListener("click", toggleHeat);
byId("logout")?.addEventListener("click", async () => { await ask("/api/v1/logout", {}); location.assign("/login"); });
if (byId("waiting")) readLine();
