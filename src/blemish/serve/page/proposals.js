// The list of changes of a station's recipes: put live, withdraw, undo; it is drawn again when one moves on.
import { ask, byId, listen, put, redraw, say, stationPath } from "./shared.js";

const station = byId("proposals").dataset.station;
export const own = stationPath(station);
let isBusy = false;

const refresh = () => redraw(`/stations/${encodeURIComponent(station)}/proposals`, "proposals");

export async function act(work) {
    if (isBusy) return;
    isBusy = true;
    put("said", say("one moment"));
    try {
        put("said", await work());
    } catch (error) {
        put("said", error.message);
    } finally {
        isBusy = false;
        await refresh();
        byId("proposals").scrollIntoView({ block: "nearest" });
    }
}

function settle(does, number) {
    act(async () => {
        await ask(does === "undo" ? `${own}/undo` : `${own}/proposals/${number}/${does}`, {});
        return say(does === "undo" ? "undone" : does === "live" ? "live" : "withdrawn");
    });
}

document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) settle(button.dataset.act, button.dataset.n);
});

// A key presses the first button of its kind, which is that of the latest change.
const keys = { l: "live", w: "withdraw", u: "undo" };
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input:not([type=checkbox])")) return;
    document.querySelector(`[data-act="${keys[event.key.toLowerCase()]}"]`)?.click();
});
listen({
    proposal: (found) => { if (found.station === station) refresh(); },
    progress: (found) => {
        const place = document.querySelector(`[data-progress="${found.n}"]`);
        if (found.station === station && place) place.textContent = `${found.stage} ${found.done} / ${found.total}`;
    },
}, refresh);
