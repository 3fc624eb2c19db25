// What made the run, what taught it, and what this file holds.

const LISTED = 200;

function plain(value) {
  if (Array.isArray(value)) return value.join(", ");
  if (value && typeof value === "object")
    return Object.entries(value)
      .map(([name, each]) => `${name}: ${plain(each)}`)
      .join("; ");
  return String(value);
}

function pairs(values) {
  const rows = Object.entries(values).filter(
    ([, value]) => value != null && value !== "" && !(typeof value === "object" && !Object.keys(value).length),
  );
  return rows.length
    ? element(
        "dl.pairs.wide",
        {},
        ...rows.flatMap(([name, value]) => [
          element("dt", {}, name.replaceAll("_", " ")),
          element("dd", {}, plain(value)),
        ]),
      )
    : null;
}

function taughtTable(onPaper) {
  if (!run.taught.length) return null;
  const counts = new Map();
  for (const { kind } of run.taught) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const hasIds = run.taught.some((each) => each.id);
  const rows = run.taught
    .slice(0, LISTED)
    .map((each) => [each.name, each.kind, ...(hasIds ? [element("code", {}, each.id ?? "")] : [])]);
  const left = run.taught.length - rows.length;
  return element(
    "div",
    {},
    element(
      "p",
      {},
      [...counts].map(([kind, count]) => `${grouped(count)} ${kind}`).join(", ") +
        (left > 0 ? `; the first ${LISTED}:` : ":"),
    ),
    element(
      "details",
      { open: rows.length <= (onPaper ? 60 : 12) },
      element("summary", {}, "Pictures"),
      table(["Picture", "shown as", ...(hasIds ? ["id"] : [])], rows),
    ),
  );
}

function unreadableList() {
  if (!run.unreadable_count) return null;
  const left = run.unreadable_count - run.unreadable.length;
  return element(
    "div",
    {},
    element("ul.plain-list", {}, ...run.unreadable.map((each) => element("li", {}, each.error))),
    left > 0 ? element("p.quiet", {}, `and ${grouped(left)} more`) : null,
  );
}

function calibrationPairs() {
  const found = run.calibration;
  if (!found) return null;
  const defects = Object.values(found.defects).reduce((sum, scores) => sum + scores.length, 0);
  return pairs({
    "good parts": found.good.length,
    defects,
    "held out by": found.scheme,
    "accept below": found.accept,
    "reject from": found.reject,
    "pixel threshold": found.pixel,
    ...found.goal,
  });
}

function storedPairs() {
  const { small, large, kept } = run.stored,
    all = kept === run.count;
  return pairs({
    pictures: grouped(run.count),
    thumbnails: `longest side ${small} px`,
    "large pictures": `${all ? "all" : grouped(kept)}, longest side ${large} px${all ? "" : `: ${storedSentence()}`}`,
    "heat scale": `${shortNumber(run.scale[0])} to ${shortNumber(run.scale[1])}, the same for all pictures`,
    written: run.written.replace("T", " ").replace("+00:00", " UTC"),
    by: `blemish ${run.version}`,
  });
}

function aboutContent(onPaper) {
  return [
    section("Recipe", run.recipe ? pairs(run.recipe) : null),
    section("Calibration", calibrationPairs()),
    section("Run", pairs({ method: run.method, encoder: run.encoder, ...run.settings })),
    section("What taught it", taughtTable(onPaper)),
    section(`Not inspected (${grouped(run.unreadable_count)})`, unreadableList()),
    section("This file", storedPairs()),
  ].filter(Boolean);
}
