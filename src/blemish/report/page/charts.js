// Curves in squares: axes, lines, bands and the point of the thresholds.

const SIDE = 260;
const MARGIN = { left: 44, right: 12, top: 10, bottom: 36 };

const LINEAR = { to: (share) => share, ticks: [0, 0.25, 0.5, 0.75, 1] };
// Square roots give small rates room, and zero its place.
const ROOT = { to: Math.sqrt, ticks: [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1] };
const limited = (most) => ({ to: (share) => share / most, ticks: [0, most / 3, (2 * most) / 3, most] });

// A square chart; lines are [{points, look}], band is [[x, low, high]], dot is [x, y].
function chart({ across, up, x = LINEAR, y = LINEAR, lines, band, dot, about }) {
  const width = SIDE - MARGIN.left - MARGIN.right,
    height = SIDE - MARGIN.top - MARGIN.bottom;
  const at = ([a, b]) => [
    MARGIN.left + Math.min(1, Math.max(0, x.to(a))) * width,
    MARGIN.top + (1 - Math.min(1, Math.max(0, y.to(b)))) * height,
  ];
  const path = (points) =>
    "M" +
    points
      .map((point) =>
        at(point)
          .map((each) => each.toFixed(1))
          .join(" "),
      )
      .join("L");
  const drawn = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, class: "chart", role: "img", "aria-label": about });
  for (const tick of x.ticks) {
    const [left] = at([tick, 0]);
    drawn.append(
      svg("path", { class: "grid", d: `M${left} ${MARGIN.top}v${height}` }),
      svg(
        "text",
        { class: "tick", x: left, y: SIDE - 21, "text-anchor": "middle" },
        percent(tick, 0).replace(" %", ""),
      ),
    );
  }
  for (const tick of y.ticks) {
    const [, top] = at([0, tick]);
    drawn.append(
      svg("path", { class: "grid", d: `M${MARGIN.left} ${top}h${width}` }),
      svg(
        "text",
        { class: "tick", x: MARGIN.left - 6, y: top + 3.5, "text-anchor": "end" },
        percent(tick, 0).replace(" %", ""),
      ),
    );
  }
  if (band?.length)
    drawn.append(
      svg("path", {
        class: "band",
        d: path([...band.map(([a, low]) => [a, low]), ...band.toReversed().map(([a, , high]) => [a, high])]) + "z",
      }),
    );
  for (const { points, look } of lines) drawn.append(svg("path", { class: `line ${look ?? ""}`, d: path(points) }));
  if (dot) {
    const [left, top] = at(dot);
    drawn.append(svg("circle", { class: "dot", cx: left, cy: top, r: 5 }));
  }
  drawn.append(
    svg("text", { class: "name", x: MARGIN.left + width / 2, y: SIDE - 4, "text-anchor": "middle" }, across + ", %"),
    svg(
      "text",
      {
        class: "name",
        x: 0,
        y: 0,
        "text-anchor": "middle",
        transform: `translate(11 ${MARGIN.top + height / 2}) rotate(-90)`,
      },
      up + ", %",
    ),
  );
  return drawn;
}

function figure(title, drawing, caption) {
  return element(
    "figure.card-figure",
    {},
    element("figcaption", {}, element("h3", {}, title), element("p.quiet", {}, caption)),
    drawing,
  );
}

function table(head, rows, caption) {
  return element(
    "div.scrolled",
    {},
    element(
      "table.plain-table",
      {},
      caption ? element("caption", {}, caption) : null,
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
      element(
        "tbody",
        {},
        ...rows.map(([first, ...others]) =>
          element("tr", {}, element("th", { scope: "row" }, first), ...others.map((cell) => element("td", {}, cell))),
        ),
      ),
    ),
  );
}
