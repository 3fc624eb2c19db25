// The panel beside the histogram: the two thresholds, and what follows from them.

const ORIGINS = {
  calibration: () => `Thresholds of recipe ${String(run.recipe?.hash ?? "").slice(0, 12) || "(no hash)"}.`,
  suggestion: () =>
    `Not calibrated. The threshold starts where ${grouped(run.suggested.good.length)} different good parts suggest, just above the highest of them.`,
  f1: () =>
    "Not calibrated. The threshold starts where F1 is greatest on these very pictures, so both rates flatter: calibrate a recipe on other parts.",
  spread: () =>
    "Not calibrated. The threshold starts at an arbitrary place, three spreads above the middle score: drag it.",
};

function showDecision() {
  const { verdicts, escapes, overkill } = decided();
  for (const verdict of ["accept", "review", "reject"]) {
    byId(`count-${verdict}`).textContent = grouped(verdicts[verdict]);
    byId(`share-${verdict}`).textContent = items.length ? roughly(verdicts[verdict] / items.length) : "";
  }
  showRate("escapes", "escape", escapes);
  showRate("overkill", "overkill", overkill);
  for (const which of ["accept", "reject"]) {
    const field = byId(which);
    if (document.activeElement !== field)
      field.value = Number.isFinite(thresholds[which]) ? Number(thresholds[which].toPrecision(5)) : "";
  }
  byId("accept-field").hidden = !thresholds.band;
  byId("band").checked = thresholds.band;
  const moved = thresholds.accept !== started.accept || thresholds.reject !== started.reject;
  byId("reset").disabled = !moved && thresholds.band === started.accept < started.reject;
  byId("origin").textContent = moved
    ? `Moved by hand; it started at ${shortNumber(started.reject)}.`
    : ORIGINS[run.start.origin]();
}

function showRate(cell, name, { k, n }) {
  byId(cell).textContent = n ? `${grouped(k)} of ${grouped(n)}` : "none labelled";
  byId(`${name}-rate`).textContent = n ? percent(k / n, 1) : "";
  byId(`${name}-interval`).textContent = n
    ? interval(k, n)
        .map((bound) => (100 * bound).toFixed(1))
        .join(" – ") + " %"
    : "";
}

function startDecision() {
  const known = evidence();
  byId("rates").hidden = !known.good.length && !known.defects.length;
  byId("no-labels").hidden = !byId("rates").hidden;
  byId("evidence-choice").hidden = !(hasLabels && evidences.calibration);
  choices("evidence-choice", "evidence", (chosen) => {
    view.evidence = chosen;
    changed("look");
    changed("thresholds");
  });
  for (const which of ["accept", "reject"])
    byId(which).addEventListener("input", (event) => setThreshold(which, event.target.valueAsNumber));
  for (const which of ["accept", "reject"]) byId(which).addEventListener("change", () => changed("thresholds"));
  byId("band").addEventListener("change", (event) => setBand(event.target.checked));
  byId("reset").addEventListener("click", resetThresholds);
  on("thresholds", showDecision);
}
