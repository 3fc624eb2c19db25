// Forms are sent as JSON, with the session's token; the page is then drawn again.
import { ask, byId, listen, put, say } from "./shared.js";

listen({}, () => {}); // says where the line does not answer; tables are of when the page was asked for

for (const form of document.querySelectorAll("form[data-post]")) {
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const { csrf, ...given } = Object.fromEntries(new FormData(form));
        try {
            const found = await ask(form.dataset.post, given, csrf);
            if (found.token) put("secret", `${found.name}: ${found.token}  ${say("shown once")}`);
            else location.reload();
        } catch (error) {
            put("said", error.message);
            byId("said").scrollIntoView({ block: "nearest" });
        }
    });
}
byId("verify").addEventListener("click", async () => {
    try {
        const found = await ask("/api/v1/audit/verify");
        put("verified", `${found.rows}: ${say("holds")} ${found.head}`);
    } catch (error) {
        put("verified", error.message);
    }
});
