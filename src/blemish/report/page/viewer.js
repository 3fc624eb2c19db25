// One picture at a time, beside the good part that looks most like it, with all that is known about it.

function openViewer(index) {
  if (!shown.length) return;
  current = index;
  fitStages();
  if (!byId("viewer").open) byId("viewer").showModal();
  byId("viewer").focus();
  showCurrent();
}

function showCurrent() {
  const item = shown[current],
    large = largeOf(item),
    good = goodOf(item.nearest);
  byId("viewer-name").textContent = item.name;
  byId("viewer-name").title = item.path;
  byId("viewer-place").textContent = `${grouped(current + 1)} / ${grouped(shown.length)}`;
  byId("previous").disabled = current === 0;
  byId("next").disabled = current === shown.length - 1;
  fillStage(byId("stage-part"), large ?? smallOf(item), item, item.name);
  fillMaps(large, item);
  byId("caption-part").textContent = large ? "This part" : "This part, its thumbnail: " + storedSentence();
  byId("pane-good").hidden = !good;
  if (good) {
    fillStage(
      byId("stage-good"),
      { picture: (large && good.large) || good.small, overlay: "", truth: "", outlines: [] },
      null,
      good.name,
    );
    byId("caption-good").replaceChildren(
      "Most similar good part: ",
      element("span.name", { title: good.name }, good.name.split(/[\\/]/).pop()),
    );
  }
  const found = item.regions?.some((region) => region.box);
  byId("outline-field").hidden = !(found || large?.truth);
  byId("viewer").dataset.marks = [found ? "found" : "", large?.truth ? "labelled" : ""].join(" ").trim();
  showPlace();
  showFacts();
}

function storedSentence() {
  const { highest, missed } = run.stored;
  return (
    `large pictures are kept of the ${highest} highest scores` +
    (missed ? ` and the ${missed} defects of the lowest.` : ".")
  );
}

function verdictFacts(item) {
  const verdict = verdictOfItem(item),
    mistake = mistakeOf(item);
  return [
    ["Score", element("b", {}, shortNumber(item.score))],
    ["Verdict", element(`span.pill.${verdict}`, {}, verdict)],
    item.verdict && item.verdict !== verdict
      ? ["Decided in the run", element(`span.pill.${item.verdict}`, {}, item.verdict)]
      : null,
    mistake ? ["Mistake", element("span.pill.mistake", {}, mistake)] : null,
    item.label ? ["Labelled", item.label] : null,
    item.type ? ["Type found", item.type] : null,
  ];
}

function showFacts() {
  if (!byId("viewer").open || !shown.length) return;
  const item = shown[current],
    judged = namesTypes ? typeFacts(item) : verdictFacts(item);
  const rows = [
    ...judged,
    item.area !== undefined ? ["Defect", `${grouped(item.area)} px`] : null,
    ["Rank", `${grouped(item.place + 1)} of ${grouped(items.length)}`],
    ["Size", `${item.size[0]} × ${item.size[1]} px`],
    item.peak ? ["Worst spot", `${item.peak[0]}, ${item.peak[1]}`] : null,
    item.seconds !== undefined ? ["Detector", `${Math.round(1000 * item.seconds)} ms`] : null,
  ].filter(Boolean);
  byId("facts").replaceChildren(
    ...[
      element("dl.pairs", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
      ...regionTable(item.regions ?? []),
      markKey(),
      element("p.path.quiet", {}, item.path),
      item.heat ? scaleBar() : null,
    ].filter(Boolean),
  );
}

// Which line is which.
function markKey() {
  const names = { found: namesTypes ? "region that was named" : "region found by the map", labelled: "labelled defect" };
  const marks = byId("viewer").dataset.marks.split(" ").filter(Boolean);
  return element("div.marks", {}, ...marks.map((mark) => element(`span.${mark}`, {}, element("i"), names[mark])));
}

// What a region is called, what its type asks for, and the likeliest types with their probabilities.
function typeCell(region) {
  const called = [region.type, region.severity].filter(Boolean).join(": ");
  const likeliest = Object.entries(region.likeliest ?? {}).map(([name, chance]) => `${name} ${chance.toFixed(2)}`);
  return [called, likeliest.length ? element("small.likeliest.quiet", {}, likeliest.join(", ")) : null].filter(Boolean);
}

// What is known of a picture that was named as a whole.
function wholeTable(regions) {
  const { likeliest = {}, may_be: others, like, words } = regions[0];
  const rows = [
    ...Object.entries(likeliest).map(([name, chance]) => [name, chance.toFixed(3)]),
    others ? ["it may be", others.join(", ") || "none of them"] : null,
    like ? ["looks most like", like] : null,
    words ? ["fits best", words] : null,
  ].filter(Boolean);
  return [
    element("h3", {}, "Probabilities"),
    element("dl.pairs", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
  ];
}

function regionTable(regions) {
  if (!regions.length) return [];
  const inMillimetres = regions.some((region) => region.area_mm2 != null);
  const isLong = regions.some((region) => region.length_mm != null);
  if (!regions.some((region) => region.box)) return wholeTable(regions);
  const head = ["score", ...(isLong ? ["mm long"] : []), inMillimetres ? "mm²" : "px", "at", "type"];
  const rows = regions
    .slice(0, 12)
    .map((region) =>
      element(
        "tr",
        {},
        element("td", {}, region.score == null ? "" : shortNumber(region.score)),
        isLong ? element("td", {}, shortNumber(region.length_mm)) : null,
        element("td", {}, inMillimetres ? shortNumber(region.area_mm2) : grouped(region.area ?? region.box.width * region.box.height)),
        element("td", {}, `${region.box.x}, ${region.box.y}`),
        element("td", {}, ...typeCell(region)),
      ),
    );
  const sentences = regions
    .slice(0, 3)
    .map(({ sentence, compared, reason }) => [sentence, compared, reason].filter(Boolean).join("; "));
  return [
    element("h3", {}, `Regions (${regions.length})`),
    ...sentences.filter(Boolean).map((sentence) => element("p.sentence", {}, sentence)),
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows),
    ),
  ];
}

// What the colours of the heat mean.
function scaleBar() {
  const canvas = element("canvas.ramp", { width: 64, height: 1, "aria-hidden": "true" }),
    context = canvas.getContext("2d");
  for (let x = 0; x < 64; x++) {
    context.fillStyle = `rgb(${shade(x / 63).join(" ")})`;
    context.fillRect(x, 0, 1, 1);
  }
  return element(
    "div.scale",
    {},
    element("span", {}, shortNumber(run.scale[0])),
    canvas,
    element("span", {}, shortNumber(run.scale[1])),
  );
}

function leaf(by) {
  const next = current + by;
  if (next < 0 || next >= shown.length) return;
  current = next;
  showCurrent();
}

function toggleHeat() {
  view.heat = !view.heat;
  showHeat();
}

function setOpacity(value) {
  Object.assign(view, { opacity: value / 100, heat: true });
  showHeat();
}

function showHeat() {
  const opacity = view.heat ? view.opacity : 0;
  document.documentElement.style.setProperty("--heat", opacity);
  for (const slider of [byId("opacity"), byId("viewer-opacity")]) slider.value = 100 * opacity;
}

function showOutlines(wanted) {
  view.outlined = wanted;
  byId("outlined").checked = wanted;
  byId("viewer").classList.toggle("bare", !wanted);
}

function viewerKey(event) {
  if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  const actions = {
    ArrowRight: () => leaf(1),
    ArrowLeft: () => leaf(-1),
    ArrowDown: () => leaf(1),
    ArrowUp: () => leaf(-1),
    "+": () => zoomBy(1.5),
    "=": () => zoomBy(1.5),
    "-": () => zoomBy(1 / 1.5),
    0: fitStages,
    r: () => showOutlines(!view.outlined),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

function startViewer() {
  const viewer = byId("viewer");
  startStage(byId("stage-part"));
  startStage(byId("stage-good"));
  byId("previous").addEventListener("click", () => leaf(-1));
  byId("next").addEventListener("click", () => leaf(1));
  byId("zoom-in").addEventListener("click", () => zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
  byId("zoom-fit").addEventListener("click", fitStages);
  byId("close").addEventListener("click", () => viewer.close());
  byId("map").addEventListener("change", showMap);
  byId("outlined").addEventListener("change", (event) => showOutlines(event.target.checked));
  for (const slider of [byId("opacity"), byId("viewer-opacity")])
    slider.addEventListener("input", (event) => setOpacity(event.target.valueAsNumber));
  viewer.addEventListener("keydown", viewerKey);
  viewer.addEventListener("close", () => goTo(current));
  byId("overlay-field").hidden = !items.some((item) => item.tinted);
  byId("heat-legend").replaceChildren(...(items.some((item) => item.heat) ? [scaleBar()] : []));
  on("thresholds", showFacts);
  showHeat();
}
