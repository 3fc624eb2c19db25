// A page of how well types are named: its pictures have no verdict, but a type that is right or not.

const namesTypes = run.task === "types";

// What stands below a picture: its score, or how sure its right type was.
const scoreText = (item) => (namesTypes ? (1 - item.score).toFixed(2) : shortNumber(item.score));

const typeText = (item) => (item.mistake ? `${item.label} → ${item.type}` : item.shownType);

function typeFacts(item) {
  return [
    ["What it is", element("b", {}, item.label)],
    ["Said to be", item.type],
    item.mistake ? ["Mistake", element("span.pill.mistake", {}, item.mistake)] : null,
    ["Its probability", (1 - item.score).toFixed(3)],
  ];
}

function startTypes() {
  document.body.classList.toggle("naming", namesTypes);
  if (!namesTypes) return;
  const names = { worst: "worst named first", best: "best named first", name: "by name" };
  for (const option of [...byId("order").options])
    if (names[option.value]) option.textContent = names[option.value];
    else option.remove();
}

// Where several types have a map of their own, one of them is chosen to be shown.
function fillMaps(large, item) {
  const maps = large?.maps ?? [];
  byId("map-field").hidden = !maps.length;
  const whole = namesTypes ? [] : [element("option", { value: "" }, "all types")];
  byId("map").replaceChildren(...whole, ...maps.map(({ name }) => element("option", { value: name }, name)));
  const likeliest = Object.keys(item.regions?.[0]?.likeliest ?? {})[0];
  byId("map").value = !namesTypes ? "" : maps.some(({ name }) => name === likeliest) ? likeliest : maps[0]?.name;
}

function showMap() {
  const item = shown[current],
    large = largeOf(item);
  if (!large) return;
  const chosen = large.maps.find(({ name }) => name === byId("map").value);
  fillStage(byId("stage-part"), { ...large, ...(chosen ?? {}) }, item, item.name);
  showPlace();
}

// Of defects that may have several types.
function severalTable() {
  const found = run.measures?.naming?.types;
  if (!found || run.measures.naming.names) return null;
  const rows = Object.entries(found).map(([name, each]) => [
    name,
    grouped(each.defects),
    ...["average_precision", "f1", "precision", "recall"].map((key) => three(each[key])),
  ]);
  return table(["Type", "pictures", "average precision", "F1", "precision", "recall"], rows);
}
