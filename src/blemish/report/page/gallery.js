// The pictures that fit the filters, of which only those on the screen are in the page.

// Where types are measured there is a second line for what a picture is and is taken for.
const CARD = { width: 146, gap: 10, text: run.task === "types" ? 58 : 40 };
const filter = { verdict: "", mistake: "", type: "", text: "", order: "worst" };
const ORDERS = {
  worst: (a, b) => a.place - b.place,
  best: (a, b) => b.place - a.place,
  near: (a, b) => distance(a) - distance(b),
  name: (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0),
};
let shown = [];
let current = 0;
let columns = 1;
const cards = new Map();

const distance = (item) => Math.min(Math.abs(item.score - thresholds.accept), Math.abs(item.score - thresholds.reject));

function fits(item) {
  return (
    (!filter.verdict || verdictOfItem(item) === filter.verdict) &&
    (!filter.mistake || mistakeOf(item) === filter.mistake) &&
    (!filter.type || item.types.includes(filter.type) || (filter.type === "\0unknown" && !item.shownType)) &&
    (!filter.text || item.sought.includes(filter.text))
  );
}

function choose() {
  const kept = shown[current];
  shown = items.filter(fits);
  if (filter.order !== "worst") shown.sort(ORDERS[filter.order]);
  current = Math.max(0, shown.indexOf(kept));
}

function showFilters() {
  const { verdicts } = decided(),
    own = evidences.pictures;
  for (const button of byId("verdict-choice").children) {
    const verdict = button.dataset.verdict;
    button.firstElementChild.textContent = grouped(verdict ? verdicts[verdict] : items.length);
  }
  const mistakes = {
    escape: counted(own.defects, thresholds).accept,
    overkill: counted(own.good, thresholds).reject,
    misnamed: items.filter((item) => item.mistake).length,
  };
  for (const button of byId("mistake-choice").children)
    button.firstElementChild.textContent = grouped(mistakes[button.dataset.mistake]);
  const filtered = filter.verdict || filter.mistake || filter.type || filter.text;
  byId("shown").textContent = filtered ? `${grouped(shown.length)} of ${grouped(items.length)} pictures` : "";
  byId("nothing").hidden = shown.length > 0;
}

function layOut() {
  const gallery = byId("gallery"),
    width = gallery.clientWidth;
  columns = Math.max(2, Math.floor((width + CARD.gap) / (CARD.width + CARD.gap)));
  const side = (width - (columns - 1) * CARD.gap) / columns;
  return { side, row: side + CARD.text + CARD.gap };
}

// Puts the cards of the rows in and near the window into the page, and takes the others out.
function drawGallery() {
  if (byId("pictures").hidden) return;
  const gallery = byId("gallery"),
    { side, row } = layOut();
  gallery.style.height = `${Math.max(0, Math.ceil(shown.length / columns) * row - CARD.gap)}px`;
  const top = gallery.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor((-top - 300) / row)) * columns;
  const last = Math.min(shown.length, Math.ceil((innerHeight - top + 300) / row) * columns);
  const indices = Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset);
  // The card that has the focus, or would get it, stays wherever it is.
  if (shown.length && (current < first || current >= last)) indices.push(current);
  const wanted = new Set(indices.map((index) => shown[index].place));
  for (const [place, card] of cards) {
    if (wanted.has(place)) continue;
    card.remove();
    cards.delete(place);
  }
  for (const index of indices) placeCard(shown[index], index, side, row);
}

function placeCard(item, index, side, row) {
  let card = cards.get(item.place);
  if (!card) {
    card = makeCard(item);
    cards.set(item.place, card);
    byId("gallery").append(card);
  }
  const verdict = verdictOfItem(item),
    mistake = mistakeOf(item);
  card.className = `card ${verdict} ${mistake}`;
  card.style.width = `${side}px`;
  card.style.transform = `translate(${(index % columns) * (side + CARD.gap)}px, ${Math.floor(index / columns) * row}px)`;
  card.firstElementChild.style.height = `${side}px`;
  card.tabIndex = index === current ? 0 : -1;
  card.setAttribute("aria-selected", String(index === current));
  card.setAttribute("aria-posinset", index + 1);
  card.setAttribute("aria-setsize", shown.length);
  card.setAttribute(
    "aria-label",
    [item.name, `score ${scoreText(item)}`, verdict, typeText(item), mistake].filter(Boolean).join(", "),
  );
  card.querySelector(".badge").textContent = mistake;
  card.querySelector(".verdict").textContent = verdict;
}

function makeCard(item) {
  const pixels = smallOf(item);
  return element(
    "div.card",
    { role: "option", id: `card-${item.place}`, title: item.path },
    element("div.picture", {}, ...layers(pixels, ""), element("span.badge")),
    element("div.line", {}, element("b", {}, scoreText(item)), element("span.verdict")),
    element(
      "div.line.quiet",
      {},
      element("span.name", {}, item.name),
      item.shownType ? element("span.type", {}, typeText(item)) : null,
    ),
  );
}

function refreshGallery() {
  choose();
  showFilters();
  drawGallery();
}

// Makes a picture the current one, brings it into the window and gives it the focus.
function goTo(index) {
  if (!shown.length) return;
  current = Math.min(shown.length - 1, Math.max(0, index));
  const gallery = byId("gallery"),
    { side, row } = layOut();
  const top = gallery.getBoundingClientRect().top + Math.floor(current / columns) * row;
  const roof = stickyHeight() + CARD.gap,
    bottom = top + side + CARD.text;
  if (top < roof) scrollBy(0, top - roof);
  else if (bottom > innerHeight - CARD.gap) scrollBy(0, bottom - innerHeight + CARD.gap);
  drawGallery();
  cards.get(shown[current].place)?.focus({ preventScroll: true });
}

// How much of the window's top is covered by what stays there.
function stickyHeight() {
  const covers = [document.querySelector(".decision"), document.querySelector(".filters")];
  return Math.max(
    0,
    ...covers
      .filter((each) => getComputedStyle(each).position === "sticky")
      .map((each) => each.getBoundingClientRect().bottom),
  );
}

function galleryKey(event) {
  const moves = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: 4 * columns,
    PageUp: -4 * columns,
  };
  const ends = { Home: 0, End: shown.length - 1 };
  if (event.key in moves) goTo(current + moves[event.key]);
  else if (event.key in ends) goTo(ends[event.key]);
  else if (event.key === "Enter" || event.key === " ") openViewer(current);
  else return;
  event.preventDefault();
}

function fillTypes() {
  const counts = new Map();
  for (const item of items)
    for (const type of item.types.length ? item.types : [""]) counts.set(type, (counts.get(type) ?? 0) + 1);
  const known = [...counts].filter(([type]) => type).sort((a, b) => b[1] - a[1]);
  const options = known.map(([type, count]) => element("option", { value: type }, `${type} (${grouped(count)})`));
  const unknown =
    counts.has("") && known.length
      ? [element("option", { value: "\0unknown" }, `unknown (${grouped(counts.get(""))})`)]
      : [];
  byId("type").replaceChildren(element("option", { value: "" }, "all"), ...options, ...unknown);
  byId("type-field").hidden = !known.length;
}

function setFilter(values) {
  Object.assign(filter, values);
  changed("filter");
}

function clearFilters() {
  byId("text").value = byId("type").value = "";
  for (const button of document.querySelectorAll("#verdict-choice button"))
    button.setAttribute("aria-pressed", String(!button.dataset.verdict));
  for (const button of document.querySelectorAll("#mistake-choice button"))
    button.setAttribute("aria-pressed", "false");
  setFilter({ verdict: "", mistake: "", type: "", text: "" });
}

function startGallery() {
  const gallery = byId("gallery");
  fillTypes();
  choices("verdict-choice", "verdict", (verdict) => setFilter({ verdict }));
  choices("mistake-choice", "mistake", (mistake) => {
    const again = filter.mistake === mistake;
    if (again) for (const button of byId("mistake-choice").children) button.setAttribute("aria-pressed", "false");
    setFilter({ mistake: again ? "" : mistake });
  });
  byId("mistake-choice").hidden = !hasLabels;
  byId("type").addEventListener("change", (event) => setFilter({ type: event.target.value }));
  byId("text").addEventListener("input", (event) => setFilter({ text: event.target.value.trim().toLowerCase() }));
  byId("order").addEventListener("change", (event) => setFilter({ order: event.target.value }));
  byId("clear").addEventListener("click", clearFilters);
  gallery.addEventListener("keydown", galleryKey);
  gallery.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    goTo(shown.findIndex((item) => cards.get(item.place) === card));
    openViewer(current);
  });
  addEventListener("scroll", () => requestAnimationFrame(drawGallery), { passive: true });
  new ResizeObserver(drawGallery).observe(gallery);
  on("thresholds", refreshGallery);
  on("filter", refreshGallery);
}
