// The two thresholds, who listens to them, and the scores that they divide.

const INFINITE = { inf: Infinity, "-inf": -Infinity };
const started = {
  accept: INFINITE[run.start.accept] ?? run.start.accept,
  reject: INFINITE[run.start.reject] ?? run.start.reject,
};
const thresholds = { ...started, band: started.accept < started.reject };
const listeners = { thresholds: [], filter: [], look: [] };
const view = { evidence: "pictures", split: "kind", axis: "linear", heat: true, opacity: 0.65, outlined: true };

function on(what, listener) {
  listeners[what].push(listener);
}

const waiting = new Set();

// Tells whoever listens, once a frame however often it is called.
function changed(what) {
  if (!waiting.size)
    requestAnimationFrame(() => {
      const told = [...waiting];
      waiting.clear();
      for (const each of told) for (const listener of listeners[each]) listener();
    });
  waiting.add(what);
}

// Sets one threshold; without a review band both are one, and with it neither passes the other.
function setThreshold(which, score) {
  if (Number.isNaN(score)) return;
  thresholds[which] = score;
  if (!thresholds.band) thresholds.accept = thresholds.reject = score;
  else if (which === "accept") thresholds.accept = Math.min(score, thresholds.reject);
  else thresholds.reject = Math.max(score, thresholds.accept);
  changed("thresholds");
}

function setBand(wanted) {
  thresholds.band = wanted;
  if (!wanted) thresholds.accept = thresholds.reject;
  else if (thresholds.accept === thresholds.reject) {
    // As wide as a tenth of the pictures, taken from below the threshold.
    const below = lowerBound(everyScore, thresholds.reject);
    thresholds.accept = Math.min(
      thresholds.reject,
      everyScore[Math.max(0, below - Math.ceil(everyScore.length / 10))] ?? thresholds.reject,
    );
  }
  changed("thresholds");
}

function resetThresholds() {
  Object.assign(thresholds, started, { band: started.accept < started.reject });
  changed("thresholds");
}

const everyScore = ascending(items.map((item) => item.score));
const unknownScores = ascending(items.filter((item) => item.kind === "unknown").map((item) => item.score));

// Labelled scores, ascending: of these pictures, or those that the recipe's calibration has kept.
function labelled(good, defects) {
  const types = new Map();
  for (const { type, score, area } of defects) {
    if (!types.has(type)) types.set(type, []);
    types.get(type).push({ score, area });
  }
  const sorted = [...types].map(([type, members]) => ({
    type,
    members,
    scores: ascending(members.map((each) => each.score)),
  }));
  return {
    good: ascending(good),
    defects: ascending(defects.map((each) => each.score)),
    types: sorted.sort((a, b) => b.members.length - a.members.length || (a.type < b.type ? -1 : 1)),
  };
}

const evidences = {
  pictures: labelled(
    items.filter((item) => item.kind === "good").map((item) => item.score),
    items
      .filter((item) => item.kind === "defect")
      .map((item) => ({ type: item.label, score: item.score, area: item.area })),
  ),
  calibration:
    run.calibration &&
    labelled(
      run.calibration.good,
      Object.entries(run.calibration.defects).flatMap(([type, scores]) =>
        scores.map((score, index) => ({ type, score, area: run.calibration.sizes[type]?.[index] ?? undefined })),
      ),
    ),
};
const hasLabels = evidences.pictures.good.length + evidences.pictures.defects.length > 0;
if (!hasLabels && evidences.calibration) view.evidence = "calibration";

const evidence = () => evidences[view.evidence];

// Pictures whose types of defects had a say in the verdict of the run.
const severe = items.filter((item) => item.regions?.some((region) => region.severity));

// The worst that its regions ask for; one whose type asks for nothing, or no region at all, leaves the score's.
function verdictOfItem(item) {
  if (run.task === "types") return "";
  const scored = verdictOf(item.score, thresholds);
  if (!item.regions?.length) return scored;
  return item.regions.map((region) => region.severity || scored).reduce(worse);
}

function mistakeOf(item) {
  if (run.task === "types") return item.mistake ?? "";
  const verdict = verdictOfItem(item);
  if (item.kind === "defect" && verdict === "accept") return "escape";
  return item.kind === "good" && verdict === "reject" ? "overkill" : "";
}

// How many of some of the pictures get each verdict, by their ascending scores, and where types have a say by these.
function countedPictures(scores, among) {
  const found = counted(scores, thresholds);
  for (const item of severe.filter(among)) {
    found[verdictOf(item.score, thresholds)] -= 1;
    found[verdictOfItem(item)] += 1;
  }
  return found;
}

// Everything the panel shows, from the scores, the thresholds and what types ask for alone.
function decided() {
  const known = evidence(),
    ofPictures = known === evidences.pictures,
    good = countedPictures(known.good, (item) => ofPictures && item.kind === "good"),
    defects = countedPictures(known.defects, (item) => ofPictures && item.kind === "defect");
  return {
    verdicts: countedPictures(everyScore, () => true),
    escapes: { k: defects.accept, n: known.defects.length },
    overkill: { k: good.reject, n: known.good.length },
  };
}

// Buttons of which one is pressed; `chosen` gets the value of the one that is clicked.
function choices(group, key, chosen) {
  const buttons = [...byId(group).querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      chosen(button.dataset[key]);
    });
  }
}
