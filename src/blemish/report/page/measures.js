// How well good and defective are told apart: curves, and tables by type and by size.

const METRICS = {
  image_auroc: "Image AUROC",
  image_ap: "Image AP",
  image_f1_max: "Image F1max",
  pixel_auroc: "Pixel AUROC",
  pixel_ap: "Pixel AP",
  pixel_f1_max: "Pixel F1max",
  aupro: "AUPRO, to 30 %",
};
const three = (value) => (value == null ? "–" : value.toFixed(3));

function metricTable() {
  const missing = run.measures?.missing ?? {};
  const rows = Object.entries(METRICS)
    .filter(([key]) => run.measures?.[key] || missing[key])
    .map(([key, name]) => {
      if (missing[key]) return [name, "–", element("span.quiet", {}, missing[key])];
      const { value, low, high } = run.measures[key];
      return [name, element("b", {}, three(value)), element("span.quiet", {}, `${three(low)} – ${three(high)}`)];
    });
  return rows.length ? table(["Metric", "value", "95 %, bootstrap"], rows) : null;
}

// One group of defects: how many escape at the thresholds as they are.
function groupRow(name, members, good) {
  const scores = ascending(members.map((each) => each.score)),
    { accept, review } = counted(scores, thresholds);
  const [low, high] = interval(accept, scores.length);
  return [
    name,
    grouped(scores.length),
    grouped(accept),
    element("b", {}, percent(accept / scores.length, 1)),
    element("span.quiet", {}, `${(100 * low).toFixed(1)} – ${(100 * high).toFixed(1)} %`),
    grouped(review),
    shortNumber(quantile(scores, 0.5)),
    three(auroc(good, scores)),
  ];
}

const GROUP_HEAD = ["defects", "escapes", "rate", "95 %, exact", "review", "median score", "AUROC"];

function typeTable() {
  const { types, good } = evidence();
  return types.length
    ? table(
        ["Type", ...GROUP_HEAD],
        types.map(({ type, members }) => groupRow(type, members, good)),
      )
    : null;
}

// Thirds of the labelled areas.
function sizeTable() {
  const { types, good } = evidence();
  const measured = types
    .flatMap((each) => each.members)
    .filter((each) => each.area > 0)
    .sort((a, b) => a.area - b.area);
  if (measured.length < 6) return null;
  const areas = measured.map((each) => each.area),
    cuts = [0, quantile(areas, 1 / 3), quantile(areas, 2 / 3), Infinity];
  const names = [`up to ${grouped(Math.round(cuts[1]))} px`, `to ${grouped(Math.round(cuts[2]))} px`, "larger"];
  const groups = names.map((name, index) => [
    name,
    measured.filter((each) => each.area > cuts[index] && each.area <= cuts[index + 1]),
  ]);
  return table(
    ["Labelled area", ...GROUP_HEAD],
    groups.filter(([, members]) => members.length).map(([name, members]) => groupRow(name, members, good)),
  );
}

// Thresholds at which overkill changes, with the exact interval of the escapes there.
function tradeOff(good, defects) {
  const points = rocPoints(good, defects, 120);
  const band = points.map(([overkill, found]) => [
    overkill,
    ...interval(Math.round((1 - found) * defects.length), defects.length),
  ]);
  return { points: points.map(([overkill, found]) => [overkill, 1 - found]), band };
}

let curveCache = null;

function curves() {
  const { good, defects } = evidence();
  if (curveCache?.good !== good) curveCache = { good, roc: rocPoints(good, defects), trade: tradeOff(good, defects) };
  return curveCache;
}

function charts() {
  const { good, defects } = evidence(),
    drawn = [];
  if (good.length && defects.length) {
    const { roc, trade } = curves(),
      { escapes, overkill } = decided();
    const rejected = counted(good, thresholds).reject / good.length;
    drawn.push(
      figure(
        "Overkill against escapes",
        chart({
          across: "good parts rejected",
          up: "defects accepted",
          x: ROOT,
          y: ROOT,
          lines: [{ points: trade.points }],
          band: trade.band,
          dot: [rejected, escapes.k / escapes.n],
          about: "Share of defects accepted against share of good parts rejected, for every threshold",
        }),
        `One threshold, square-root axes; band: 95 % of the escapes, exact. The dot is where the thresholds are: ${percent(overkill.k / overkill.n, 1)} and ${percent(escapes.k / escapes.n, 1)}.`,
      ),
    );
    drawn.push(
      figure(
        "ROC of pictures",
        chart({
          across: "good parts rejected",
          up: "defects rejected",
          lines: [
            {
              points: [
                [0, 0],
                [1, 1],
              ],
              look: "chance",
            },
            { points: roc },
          ],
          dot: [rejected, counted(defects, thresholds).reject / defects.length],
          about: "Share of defects rejected against share of good parts rejected",
        }),
        `AUROC ${three(auroc(good, defects))}; the dot is the reject threshold.`,
      ),
    );
  }
  return [...drawn, ...pixelCharts()];
}

function pixelCharts() {
  if (!run.curves) return [];
  const { rate, recall, overlap } = run.curves,
    found = run.measures ?? {};
  const along = (values) => [{ points: rate.map((each, index) => [each, values[index]]) }];
  return [
    figure(
      "ROC of pixels",
      chart({
        across: "other pixels above",
        up: "defects' pixels above",
        lines: [
          {
            points: [
              [0, 0],
              [1, 1],
            ],
            look: "chance",
          },
          ...along(recall),
        ],
        about: "Share of the defects' pixels found against share of the other pixels",
      }),
      `AUROC ${three(found.pixel_auroc?.value)}.`,
    ),
    figure(
      "Overlap of regions (PRO)",
      chart({
        across: "other pixels above",
        up: "mean overlap",
        x: limited(0.3),
        lines: along(overlap).map(({ points }) => ({ points: cut(points, 0.3) })),
        about: "Mean overlap of the labelled regions against share of the other pixels, up to 30 percent",
      }),
      `AUPRO ${three(found.aupro?.value)}, to 30 % of the other pixels.`,
    ),
  ];
}

// A curve up to x = limit, ending exactly there.
function cut(points, limit) {
  const after = points.findIndex(([x]) => x > limit);
  if (after <= 0) return points;
  const [[x0, y0], [x1, y1]] = [points[after - 1], points[after]];
  return [...points.slice(0, after), [limit, y0 + ((y1 - y0) * (limit - x0)) / (x1 - x0)]];
}

function speedSentence() {
  const seconds = ascending(items.filter((item) => item.seconds !== undefined).map((item) => item.seconds));
  if (!seconds.length) return null;
  const [half, most] = [0.5, 0.95].map((share) => `${(1000 * quantile(seconds, share)).toFixed(0)} ms`);
  return element("p.quiet", {}, `In the detector: ${half} a picture in the middle, ${most} for the slowest 1 in 20.`);
}

const section = (title, ...children) =>
  children.some(Boolean) ? element("section.block", {}, element("h2", {}, title), ...children.filter(Boolean)) : null;

function measuresContent() {
  if (namesTypes) return namesContent();
  const drawn = charts(),
    source = view.evidence === "calibration" ? "Scores of the recipe's calibration." : null;
  const nothing =
    !drawn.length && !metricTable()
      ? element(
          "p.nothing",
          {},
          "Nothing is labelled here, so there is nothing to measure against. `blemish evaluate --report` measures a labelled data set; a calibrated recipe brings its own scores.",
        )
      : null;
  return [
    nothing,
    section(
      "Curves",
      drawn.length && source ? element("p.quiet", {}, source) : null,
      drawn.length ? element("div.figures", {}, ...drawn) : null,
    ),
    section("By type", typeTable()),
    section("By size", sizeTable()),
    section("Metrics", metricTable(), ...(run.measures?.notes ?? []).map((note) => element("p.quiet", {}, note))),
    section("Names of defects", namingTable(), confusionTable()),
    section("Speed", speedSentence()),
  ].filter(Boolean);
}

function namesContent() {
  const notes = (run.measures?.notes ?? []).map((note) => element("p.quiet", {}, note));
  return [
    section("Names of defects", namingTable(), ...notes),
    section("What is said to be what", confusionTable()),
    section("By type", severalTable()),
  ].filter(Boolean);
}

function showMeasures() {
  if (!byId("measures").hidden) byId("measures").replaceChildren(...measuresContent());
}

function startMeasures() {
  on("thresholds", showMeasures);
  on("look", showMeasures);
}
