import { ask, byId, listen, partPath, put, readReview, redraw, say, showPictures, showVerdict, toggleHeat } from "./shared.js";

const station = byId("station").dataset.station;
const shown = 24, remembered = 1000;
const pause = 250, tries = 8;
const listed = () => [...document.querySelectorAll("#parts a")].map((each) => each.textContent);
const wait = () => new Promise((done) => setTimeout(done, pause));
let latest = byId("part").textContent, answered = new Set(listed()), isLoading = false, isCounting = false;
let isCatchingUp = false, meanwhile = [];

// Those of the latest part, however fast parts come; a part's pictures may be there a little later than its record.
async function loadPictures() {
    if (isLoading || !latest) return;
    isLoading = true;
    let part = "", left = 0;
    try {
        while (part !== latest || left > 0) {
            if (part !== latest) [part, left] = [latest, tries];
            const { pictures } = await ask(`${partPath(station, part)}/pictures`);
            left = pictures.length ? 0 : left - 1;
            if (part === latest && (pictures.length || !left)) showPictures(pictures);
            await wait();
        }
    } finally {
        isLoading = false;
    }
}

async function count() {
    if (isCounting) return;
    isCounting = true;
    await wait();
    isCounting = false;
    for (const [name, number] of Object.entries(await ask(`/api/v1/stations/${encodeURIComponent(station)}/counts`))) {
        put(`count-${name}`, number);
    }
}

function line(record) {
    const item = document.createElement("li"), name = document.createElement("a"), said = document.createElement("b");
    item.dataset.verdict = record.verdict;
    name.textContent = record.part;
    name.href = `/review?${new URLSearchParams({ station, part: record.part })}`;
    said.textContent = say(record.verdict) + (record.late ? ` (${say("late")})` : "");
    item.append(name, said);
    return item;
}

function show(record) {
    if (record.station !== station) return;
    const isNew = !answered.has(record.part);
    if (isNew) {
        answered.add(record.part);
        if (answered.size > remembered) answered.delete(answered.values().next().value);
        latest = record.part;
        byId("parts").prepend(line(record));
        while (byId("parts").children.length > shown) byId("parts").lastElementChild.remove();
    }
    count();
    if (record.part !== latest) return;
    showVerdict(record.verdict);
    byId("late").hidden = !record.late;
    put("part", record.part);
    put("score", record.score === null ? "" : Number(record.score.toPrecision(4)));
    put("types", record.types.join(", "));
    put("error", record.error);
    loadPictures();
}

const later = (does) => (found) => { if (isCatchingUp) meanwhile.push(() => does(found)); else does(found); };

// What was told while nobody listened is in the page as it is now, a moment after it was told.
async function catchUp() {
    if (isCatchingUp) return;
    isCatchingUp = true;
    await wait();
    await redraw(location.href, "verdict", "late", "part", "score", "types", "error", "state", "recipe", "counts", "parts").catch(() => {});
    isCatchingUp = false;
    latest = byId("part").textContent;
    answered = new Set(listed());
    meanwhile.splice(0).forEach((does) => does());
    loadPictures();
}

for (const button of document.querySelectorAll("[data-command]")) {
    button.addEventListener("click", async () => {
        try {
            const found = await ask(`/api/v1/stations/${encodeURIComponent(station)}/commands/${button.dataset.command}`, {});
            put("state", found.state);
            put("said", "");
        } catch (error) {
            put("said", error.message);
        }
    });
}
document.addEventListener("keydown", (event) => { if (event.key.toLowerCase() === "h" && !event.ctrlKey) toggleHeat(); });
listen({
    part: later(show),
    state: later((found) => { if (found.station === station) put("state", found.state); }),
    waits: readReview, judgement: readReview, undo: readReview,
}, catchUp);
loadPictures();
