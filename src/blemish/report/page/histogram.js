// The distribution of scores with the two thresholds on it: good parts and unknowns rise, defects hang below.

const HEIGHT = { rise: 92, fall: 58, axis: 20, head: 18 };
const TYPE_COLOURS = 8;
const axis = { low: 0, high: 1, width: 0 };

const asAxis = (score) => (view.axis === "log" ? Math.log(score) : score);
const fromAxis = (value) => (view.axis === "log" ? Math.exp(value) : value);
const shareOf = (score) => (asAxis(score) - axis.low) / (axis.high - axis.low);
const scoreAt = (x) => fromAxis(axis.low + (x / axis.width) * (axis.high - axis.low));

// Where a score is, in pixels; infinite thresholds stand at the ends.
function xOf(score) {
  if (!Number.isFinite(score)) return score > 0 ? axis.width : 0;
  if (view.axis === "log" && score <= 0) return 0;
  return axis.width * Math.min(1, Math.max(0, shareOf(score)));
}

function fitAxis() {
  const known = evidence(),
    ends = [everyScore, known.good, known.defects].filter((each) => each.length);
  if (!ends.length) return Object.assign(axis, { low: 0, high: 1 });
  const low = asAxis(Math.min(...ends.map((each) => each[0])));
  const high = asAxis(Math.max(...ends.map((each) => each[each.length - 1])));
  const pad = (high - low) * 0.02 || Math.abs(low) * 0.1 || 1;
  return Object.assign(axis, { low: low - pad, high: high + pad });
}

function binned(scores, bins) {
  const counts = new Array(bins).fill(0);
  for (const score of scores) counts[Math.min(bins - 1, Math.max(0, Math.floor(shareOf(score) * bins)))]++;
  return counts;
}

// What is drawn: groups of scores, upwards or downwards, each with a class for its colour.
function groups() {
  const known = evidence(),
    rising = [];
  if (known.good.length) rising.push({ name: word("good"), scores: known.good, look: "good" });
  if (view.evidence === "calibration") rising.push({ name: word("these pictures"), scores: everyScore, look: "unknown" });
  else if (unknownScores.length) rising.push({ name: word("unknown"), scores: unknownScores, look: "unknown" });
  const together = known.defects.length ? [{ name: word("defects"), scores: known.defects, look: "defect" }] : [];
  const byType = known.types.map(({ type, scores }, index) => ({
    name: type,
    scores,
    look: `type-${index % TYPE_COLOURS}`,
  }));
  return { rising, falling: view.split === "type" ? byType : together };
}

function drawHistogram() {
  const plot = byId("histogram"),
    { rising, falling } = groups();
  axis.width = Math.max(200, byId("plot").clientWidth);
  fitAxis();
  const bins = Math.round(Math.min(160, axis.width / 6, Math.max(40, 4 * Math.sqrt(everyScore.length))));
  const fall = falling.length ? HEIGHT.fall : 0,
    base = HEIGHT.head + HEIGHT.rise,
    height = base + fall + HEIGHT.axis;
  plot.setAttribute("viewBox", `0 0 ${axis.width} ${height}`);
  plot.style.height = `${height}px`;
  byId("plot").style.setProperty("--plot-height", `${height - HEIGHT.axis}px`);
  plot.replaceChildren(
    svg("g", { id: "zones" }),
    ...drawRising(rising, bins, base),
    ...drawFalling(falling, bins, fall, base + 1),
    svg("path", { class: "base", d: `M0 ${base + 0.5}h${axis.width}` }),
    svg("g", { id: "edges" }),
    ...axisLabels(height),
  );
  drawLegend([...rising, ...falling]);
  placeHandles();
}

// One outline of bars from `from[bin]` on, `heights[bin]` long, upwards or downwards.
function bars(heights, from, sign) {
  const step = axis.width / heights.length,
    wide = Math.max(1, step - 1).toFixed(1);
  return heights
    .map((height, bin) =>
      height
        ? `M${(bin * step).toFixed(1)} ${from[bin].toFixed(1)}v${(-sign * height).toFixed(1)}h${wide}v${(sign * height).toFixed(1)}z`
        : "",
    )
    .join("");
}

// Groups that rise lie over one another, each to its own height: their shapes are compared, not their sizes.
function drawRising(rising, bins, base) {
  return rising
    .map(({ scores, look }) => {
      const counts = binned(scores, bins),
        unit = HEIGHT.rise / Math.max(1, ...counts);
      return svg("path", {
        class: `bars ${look}`,
        d: bars(
          counts.map((count) => count && Math.max(1, count * unit)),
          counts.map(() => base),
          1,
        ),
      });
    })
    .reverse();
}

// Groups that fall are stacked.
function drawFalling(falling, bins, room, base) {
  const counts = falling.map(({ scores }) => binned(scores, bins));
  const total = Array.from({ length: bins }, (_, bin) => counts.reduce((sum, each) => sum + each[bin], 0));
  const unit = room / Math.max(1, ...total),
    from = total.map(() => base);
  return falling.map(({ look }, index) => {
    const heights = counts[index].map((count) => count * unit);
    const path = svg("path", { class: `bars ${look}`, d: bars(heights, [...from], -1) });
    heights.forEach((height, bin) => {
      from[bin] += height;
    });
    return path;
  });
}

function axisLabels(height) {
  const [low, high] = [fromAxis(axis.low), fromAxis(axis.high)];
  const marks = view.axis === "log" ? logTicks(low, high) : ticks(low, high, Math.max(3, axis.width / 90));
  let last = -Infinity;
  return marks
    .filter((mark) => {
      const x = xOf(mark),
        fits = x - last > 44 && x > 8 && x < axis.width - 8;
      if (fits) last = x;
      return fits;
    })
    .map((mark) =>
      svg("text", { class: "tick", x: xOf(mark), y: height - 5, "text-anchor": "middle" }, shortNumber(mark)),
    );
}

function drawLegend(all) {
  byId("legend").replaceChildren(
    ...all.map(({ name, scores, look }) =>
      element("span.key", {}, element(`i.${look}`), `${name} `, element("small", {}, grouped(scores.length))),
    ),
  );
}

function placeHandles() {
  const [accept, reject] = [xOf(thresholds.accept), xOf(thresholds.reject)];
  const bottom = HEIGHT.head + HEIGHT.rise + (groups().falling.length ? HEIGHT.fall : 0);
  const zone = (from, to, look) =>
    svg("rect", {
      class: `zone ${look}`,
      x: from,
      y: HEIGHT.head,
      width: Math.max(0, to - from),
      height: bottom - HEIGHT.head,
    });
  const edge = (x, look) => svg("path", { class: `edge ${look}`, d: `M${x} ${HEIGHT.head - 2}V${bottom}` });
  byId("zones")?.replaceChildren(
    zone(0, accept, "accept"),
    zone(accept, reject, "review"),
    zone(reject, axis.width, "reject"),
  );
  byId("edges")?.replaceChildren(...(thresholds.band ? [edge(accept, "accept")] : []), edge(reject, "reject"));
  for (const which of ["accept", "reject"]) {
    const handle = byId(`handle-${which}`);
    // A name that would leave the window stands on the other side of its line.
    handle.classList.toggle("turned", which === "accept" ? accept < 56 : reject > axis.width - 76);
    handle.style.left = `${which === "accept" ? accept : reject}px`;
    handle.setAttribute("aria-valuemin", everyScore[0] ?? 0);
    handle.setAttribute("aria-valuemax", everyScore[everyScore.length - 1] ?? 1);
    handle.setAttribute("aria-valuenow", Number.isFinite(thresholds[which]) ? thresholds[which] : 0);
    handle.setAttribute("aria-valuetext", spoken(which));
  }
  byId("handle-accept").hidden = !thresholds.band;
  byId("handle-reject").firstElementChild.textContent = word(thresholds.band ? "reject" : "threshold");
}

function spoken(which) {
  const { verdicts, escapes, overkill } = decided();
  const said = ["accept", "review", "reject"].map((verdict) => `${word(verdict)} ${verdicts[verdict]}`);
  const known = escapes.n + overkill.n ? [`${word("escapes")} ${escapes.k}`, `${word("overkill")} ${overkill.k}`] : [];
  return `${shortNumber(thresholds[which])}: ${[...said, ...known].join(", ")}`;
}

// The score of the next picture that would be decided otherwise, `steps` pictures up or down; past the last one at the end.
function stepped(from, steps) {
  const all = everyScore,
    index = steps > 0 ? firstAbove(all, from) + steps - 1 : lowerBound(all, from) + steps;
  if (!all.length) return from;
  const highest = all[all.length - 1];
  return index >= all.length ? highest + (Math.abs(highest) || 1) * 1e-6 : all[Math.max(0, index)];
}

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

function startHandle(which) {
  const handle = byId(`handle-${which}`),
    left = () => byId("plot").getBoundingClientRect().left;
  let grip = 0;
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    grip = event.clientX - left() - xOf(thresholds[which]);
    handle.focus();
    event.preventDefault();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId))
      setThreshold(which, scoreAt(Math.min(axis.width, Math.max(0, event.clientX - left() - grip))));
  });
  handle.addEventListener("keydown", (event) => {
    const steps = (STEPS[event.key] ?? 0) * (event.shiftKey ? 10 : 1);
    const ends = { Home: everyScore[0], End: stepped(Infinity, 1) };
    if (!steps && ends[event.key] === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setThreshold(which, steps ? stepped(thresholds[which], steps) : ends[event.key]);
  });
}

function startHover() {
  const plot = byId("plot"),
    box = byId("hover");
  plot.addEventListener("pointermove", (event) => {
    const x = event.clientX - plot.getBoundingClientRect().left,
      near = axis.width / 120;
    const { rising, falling } = groups();
    const found = [...rising, ...falling].map(({ name, scores }) => [
      lowerBound(scores, scoreAt(x + near)) - lowerBound(scores, scoreAt(x - near)),
      name,
    ]);
    const seen = found.filter(([count]) => count);
    box.hidden = !seen.length || event.buttons > 0;
    box.textContent = `${shortNumber(scoreAt(x))} · ` + seen.map(([count, name]) => `${count} ${name}`).join(", ");
    box.style.left = `${Math.min(x + 12, axis.width - 160)}px`;
  });
  plot.addEventListener("pointerleave", () => {
    box.hidden = true;
  });
}

// A long tail of high scores is easier to read on a logarithmic axis.
function startHistogram() {
  const [low, middle, high] = [everyScore[0], quantile(everyScore, 0.5), everyScore[everyScore.length - 1]];
  if (low > 0 && high / low > 4 && high - middle > 6 * (middle - low)) view.axis = "log";
  byId("axis-choice").hidden = !(low > 0);
  for (const button of byId("axis-choice").children)
    button.setAttribute("aria-pressed", String(button.dataset.axis === view.axis));
  byId("split-choice").hidden = Object.values(evidences).every((each) => (each?.types.length ?? 0) < 2);
  choices("split-choice", "split", (chosen) => {
    view.split = chosen;
    changed("look");
  });
  choices("axis-choice", "axis", (chosen) => {
    view.axis = chosen;
    changed("look");
  });
  startHandle("accept");
  startHandle("reject");
  startHover();
  on("look", drawHistogram);
  on("thresholds", placeHandles);
  new ResizeObserver(() => {
    if (byId("plot").clientWidth !== axis.width) drawHistogram();
  }).observe(byId("plot"));
}
