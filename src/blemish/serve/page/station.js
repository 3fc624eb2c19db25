import { ask, byId, listen, partPath, put, say, showPictures, showVerdict, showWaiting, toggleHeat } from "./shared.js";

const station = byId("station").dataset.station;
const shown = 24;
let latest = byId("part").textContent, answered = new Set();

async function loadPictures(part, tries = 8) {
    const { pictures } = await ask(`${partPath(station, part)}/pictures`);
    if (part !== latest) return;
    if (pictures.length) showPictures(pictures);
    else if (tries) setTimeout(() => loadPictures(part, tries - 1), 250);
    else showPictures([]);
}

function count(record) {
    for (const name of [record.verdict, ...(record.late ? ["late"] : [])]) {
        put(`count-${name}`, Number(byId(`count-${name}`).textContent) + 1);
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
        latest = record.part;
        count(record);
        byId("parts").prepend(line(record));
        while (byId("parts").children.length > shown) byId("parts").lastElementChild.remove();
    }
    if (record.part !== latest) return;
    showVerdict(record.verdict);
    byId("late").hidden = !record.late;
    put("part", record.part);
    put("score", record.score === null ? "" : Number(record.score.toPrecision(4)));
    put("types", record.types.join(", "));
    put("error", record.error);
    loadPictures(record.part);
}

async function refreshWaiting() {
    showWaiting((await ask("/api/v1/review")).waiting);
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
    part: show,
    state: (found) => { if (found.station === station) put("state", found.state); },
    waits: refreshWaiting, judgement: refreshWaiting, undo: refreshWaiting,
});
refreshWaiting();
if (latest) loadPictures(latest, 0);
