// Thresholds on the histogram of the last parts; the histogram and its thresholds are the report's own scripts.
/* global changed, choices, decided, drawHistogram, on, resetThresholds, run, setThreshold, shortNumber, startHistogram,
   thresholds, view */
import { ask, byId, put, say, listItem } from "./shared.js";
import { act, own } from "./proposals.js";

let waiting = 0, asked = 0;

function show() {
    const { verdicts, escapes, overkill } = decided();
    for (const name of ["accept", "review", "reject"]) put(`count-${name}`, verdicts[name]);
    put("escapes", escapes.n ? `${escapes.k} / ${escapes.n}` : "–");
    put("overkill", overkill.n ? `${overkill.k} / ${overkill.n}` : "–");
    for (const name of ["accept", "reject"]) {
        if (document.activeElement !== byId(name)) byId(name).value = Number.isFinite(thresholds[name]) ? Number(thresholds[name].toPrecision(6)) : "";
    }
    if (byId("propose")) byId("propose").disabled = true;
    clearTimeout(waiting);
    waiting = setTimeout(preview, 200);
}

async function preview() {
    const number = ++asked;
    try {
        const found = await ask(`${own}/preview?accept=${thresholds.accept}&reject=${thresholds.reject}`);
        if (number !== asked) return;
        byId("promise").replaceChildren(...found.promise.map((text) => listItem(text)));
        const counts = found.changes.map(([before, after, count]) => `${say(before)} → ${say(after)}: ${count}`);
        put("changes", `${found.changes.reduce((sum, each) => sum + each[2], 0)} / ${found.examined}  ${counts.join(" · ")}`);
        byId("flips").replaceChildren(...found.flips.map((each) =>
            listItem(`${each.part}: ${say(each.before)} → ${say(each.after)} (${shortNumber(each.score)})${each.said ? ` · ${say("judged")}: ${each.said}` : ""}`, each.after)));
        if (byId("propose")) byId("propose").disabled = thresholds.accept === Number(run.start.accept) && thresholds.reject === Number(run.start.reject);
    } catch (error) {
        if (number === asked) put("said", error.message);
    }
}

function propose() {
    if (byId("propose").disabled) return;
    const given = { accept: String(thresholds.accept), reject: String(thresholds.reject) };
    act(async () => `${say("proposed")}: ${(await ask(`${own}/thresholds`, given)).proposal}`);
}

if (byId("histogram")) {
    startHistogram();
    choices("evidence-choice", "evidence", (chosen) => { view.evidence = chosen; changed("look"); changed("thresholds"); });
    for (const button of byId("evidence-choice").children) button.ariaPressed = String(button.dataset.evidence === view.evidence);
    for (const name of ["accept", "reject"]) byId(name).addEventListener("input", (event) => setThreshold(name, event.target.valueAsNumber));
    byId("reset").addEventListener("click", resetThresholds);
    byId("thresholds").addEventListener("submit", (event) => { event.preventDefault(); if (byId("propose")) propose(); });
    document.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() === "p" && !event.ctrlKey && !event.metaKey && !event.altKey && byId("propose")) propose();
    });
    on("thresholds", show);
    drawHistogram();
    show();
}
