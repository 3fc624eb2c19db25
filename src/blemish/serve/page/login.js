import { ask, byId, put, say } from "./shared.js";

byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    put("said", say("one moment"));
    try {
        await ask("/api/v1/login", { name: given.get("name"), password: given.get("password") });
        location.assign("/");
    } catch (error) {
        put("said", error.message);
    }
});
