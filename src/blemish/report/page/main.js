// Tabs, keys, paper; and the beginning.

const TABS = { pictures: "pictures", measures: "measures", about: "about-run" };
const PRINTED = 24;

function openTab(name) {
  for (const [tab, panel] of Object.entries(TABS)) {
    const chosen = tab === name;
    byId(panel).hidden = !chosen;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
  }
  if (name === "measures") showMeasures();
  if (name === "pictures") drawGallery();
}

function startTabs() {
  const names = Object.keys(TABS);
  names.forEach((name, index) => {
    byId(`tab-${name}`).addEventListener("click", () => openTab(name));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = names[(index + step + names.length) % names.length];
      openTab(next);
      byId(`tab-${next}`).focus();
    });
  });
}

function startKeys() {
  const actions = {
    o: toggleHeat,
    "?": () => byId("keys-list").showModal(),
    "/": () => {
      openTab("pictures");
      byId("text").focus();
    },
    1: () => openTab("pictures"),
    2: () => openTab("measures"),
    3: () => openTab("about"),
  };
  addEventListener("keydown", (event) => {
    const writing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (writing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    if (document.querySelector("dialog[open]") && event.key !== "o") return;
    event.preventDefault();
    actions[event.key]();
  });
  byId("keys").addEventListener("click", actions["?"]);
  byId("keys-close").addEventListener("click", () => byId("keys-list").close());
}

function startTheme() {
  const isDark = () =>
    (document.documentElement.style.colorScheme ||
      (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  byId("theme").addEventListener("click", () => {
    document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
  });
}

// The part of the page that is only on paper is made ahead: printing does not wait for pictures to be decoded.
function preparePaper() {
  const first = shown
    .slice(0, PRINTED)
    .map((item) =>
      element(
        "figure",
        {},
        element("div.picture", {}, ...layers(largeOf(item) ?? smallOf(item), "", 160)),
        element(
          "figcaption",
          {},
          element("b", {}, scoreText(item)),
          ` ${verdictOfItem(item)} ${mistakeOf(item)}`,
          element("br"),
          item.shownType ? `${typeText(item)} · ` : "",
          item.name,
        ),
      ),
    );
  byId("printed").replaceChildren(
    element(
      "section.block",
      {},
      element(
        "h2",
        {},
        `The ${first.length} first of ${grouped(shown.length)} pictures, ${byId("order").selectedOptions[0].textContent}`,
      ),
      element("div.contact", {}, ...first),
    ),
    ...measuresContent(),
    ...aboutContent(true),
  );
}

let paper = 0;

function paperLater() {
  clearTimeout(paper);
  paper = setTimeout(() => (window.requestIdleCallback ?? setTimeout)(preparePaper), 400);
}

// The filters stay below the decision where that stays at the top of the window.
function keepRoof() {
  const decision = document.querySelector(".decision");
  const height = getComputedStyle(decision).position === "sticky" ? decision.offsetHeight : 0;
  document.documentElement.style.setProperty("--roof", `${height}px`);
}

function start() {
  byId("title").textContent = run.title;
  byId("made").textContent = [
    run.method,
    run.encoder.slice(0, 60),
    amount(run.count, "picture"),
    run.unreadable_count ? `${grouped(run.unreadable_count)} not inspected` : "",
    run.recipe?.hash ? `recipe ${run.recipe.hash.slice(0, 12)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
  byId("note").textContent = run.note;
  byId("note").hidden = !run.note;
  startTypes();
  startDecision();
  startHistogram();
  startGallery();
  startViewer();
  startMeasures();
  startTabs();
  startKeys();
  startTheme();
  byId("print").addEventListener("click", () => {
    preparePaper();
    setTimeout(print, 300);
  });
  byId("about-run").replaceChildren(...aboutContent(false));
  for (const what of ["thresholds", "filter", "look"]) on(what, paperLater);
  new ResizeObserver(keepRoof).observe(document.querySelector(".decision"));
  drawHistogram();
  showDecision();
  refreshGallery();
  paperLater();
}

start();
