// Judged parts that are to be taught: arrows move, space or T chooses, G begins.
import { ask, byId, put, say } from "./shared.js";
import { act, own } from "./proposals.js";

const boxes = [...document.querySelectorAll("#judged input")];
const chosen = () => boxes.filter((each) => each.checked).map((each) => each.value);

function move(event, by) {
    event.preventDefault();
    const at = boxes.indexOf(document.activeElement);
    boxes[at < 0 ? 0 : Math.min(boxes.length - 1, Math.max(0, at + by))]?.focus();
}

function choose(event) {
    if (!boxes.includes(document.activeElement)) return move(event, 0);
    document.activeElement.click();
}

const begin = () => act(async () => `${say("teaching")}: ${(await ask(`${own}/lessons`, { parts: chosen() })).proposal}`);
const copy = () => act(async () => `${say("pictures as a folder")}: ${(await ask(`${own}/lessons/folder`, { parts: chosen() })).folder}`);
const keys = {
    ArrowRight: (event) => move(event, 1), ArrowLeft: (event) => move(event, -1),
    ArrowDown: (event) => move(event, 1), ArrowUp: (event) => move(event, -1),
    t: choose, g: () => byId("try")?.click(),
};
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    (keys[event.key] ?? keys[event.key.toLowerCase()])?.(event);
});
byId("judged").addEventListener("change", () => put("chosen", chosen().length));
byId("try")?.addEventListener("click", begin);
byId("folder")?.addEventListener("click", copy);
put("chosen", chosen().length);
