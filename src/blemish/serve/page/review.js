import { ask, byId, listen, partPath, put, readReview, say, showPictures, showVerdict, toggleHeat } from "./shared.js";

const kinds = JSON.parse(document.getElementById("words").textContent).types;
const may = Boolean(byId("review").dataset.may);
let current = null, isBusy = false;

// A part that was asked for comes first, whether it waits or not.
const asked = new URLSearchParams(location.search);

async function next() {
    const found = await readReview();
    if (!asked.get("part")) return found;
    const path = partPath(asked.get("station") ?? "", asked.get("part"));
    asked.delete("part");
    return { ...found, part: await ask(path), pictures: (await ask(`${path}/pictures`)).pictures };
}

async function showSimilar(view) {
    const part = current, found = part && view ? await ask(`${partPath(part.station, part.part)}/similar?view=${encodeURIComponent(view)}`) : {};
    if (part !== current) return;
    byId("similar").hidden = !found.picture;
    if (found.picture) byId("similar").src = `/api/v1/pictures/${found.picture}`;
    put("similar-part", found.part || "–");
}

async function load() {
    const found = await next();
    current = found.part;
    showVerdict(current ? current.verdict : "");
    if (!current) put("verdict", say("nothing waits"));
    put("part", current?.part ?? "");
    put("at", current?.station ?? "");
    put("arrived", current ? new Date(1000 * current.arrived).toLocaleString(document.documentElement.lang) : "");
    put("score", current && current.score !== null ? Number(current.score.toPrecision(4)) : "");
    put("types", current ? current.types.join(", ") : "");
    put("error", current?.error ?? "");
    showPictures(found.pictures);
    byId("kinds")?.replaceChildren(...(kinds[current?.station] ?? []).slice(0, 9).map(kindButton));
}

function kindButton(name, at) {
    const button = document.createElement("button"), key = document.createElement("kbd");
    button.type = "button";
    key.textContent = at + 1;
    button.append(key, ` ${name}`);
    button.addEventListener("click", () => judge("reject", name));
    return button;
}

async function act(work) {
    if (isBusy || !may) return;
    isBusy = true;
    try {
        put("said", await work());
        await load();
    } catch (error) {
        put("said", error.message);
    } finally {
        isBusy = false;
    }
}

function judge(verdict, type = "") {
    const part = current;
    if (part) act(async () => {
        await ask(`${partPath(part.station, part.part)}/judgement`, { verdict, type });
        return `${part.part}: ${say(verdict)}${type ? `, ${type}` : ""}`;
    });
}

function undo() {
    act(async () => `${(await ask("/api/v1/review/undo", {})).part}: ${say("taken back")}`);
}

function help() {
    const dialog = byId("help");
    if (dialog.open) dialog.close(); else dialog.showModal();
}

const keys = { a: () => judge("accept"), r: () => judge("reject"), u: undo, h: toggleHeat, "?": help };
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (byId("help").open && event.key !== "?") return;
    const kind = (kinds[current?.station] ?? [])[Number(event.key) - 1];
    if (kind && /^[1-9]$/.test(event.key)) judge("reject", kind);
    else keys[event.key.toLowerCase()]?.();
});
for (const [id, does] of Object.entries({ accept: keys.a, reject: keys.r, undo, ask: help, close: help })) {
    byId(id)?.addEventListener("click", does);
}
const refresh = () => { if (!current && !isBusy) load(); else readReview(); };
document.addEventListener("view", (event) => showSimilar(event.detail));
listen({ waits: refresh, judgement: refresh, undo: refresh }, refresh);
load();
