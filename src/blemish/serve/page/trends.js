// Times of charts in the language of the page; choosing a filter applies it.
import { listen } from "./shared.js";

listen({}, () => {}); // says where the line does not answer; charts are of when the page was asked for

for (const each of document.querySelectorAll(".chart [data-at]")) {
    each.textContent = new Date(1000 * each.dataset.at).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
}
for (const each of document.querySelectorAll("form select")) each.addEventListener("change", () => each.form.submit());
