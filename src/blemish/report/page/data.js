// What the page was given: the run, its pictures worst first, and their pixels, decoded only when they are shown.

const byId = (name) => document.getElementById(name);
const run = JSON.parse(byId("about").textContent);
// A page in another language brings its words.
const word = (text) => run.words?.[text] ?? text;
const items = readItems();

function readItems() {
  const text = byId("items").textContent;
  const found = text ? JSON.parse("[" + text.replaceAll("\n", ",") + "]") : [];
  found.forEach((item, place) => {
    item.place = place;
    item.label ??= "";
    item.kind = item.label === "good" ? "good" : item.label ? "defect" : "unknown";
    item.shownType = item.label || item.type || "";
    item.types = item.shownType.split("+").filter(Boolean);
    item.name = item.path.split(/[\\/]/).pop();
    item.sought = (item.path + " " + item.label + " " + (item.type ?? "")).toLowerCase();
  });
  return found;
}

// A made-up element: tag with classes, its attributes and its children; text is text, never markup.
function element(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const blocks = new Map();

// A picture's thumbnail and map as base64; a block of a hundred is taken apart when one of it is first shown.
function smallOf(item) {
  const number = Math.floor(item.place / run.stored.block);
  if (!blocks.has(number)) {
    blocks.set(number, byId(`small-${number}`).textContent.split("\n"));
    if (blocks.size > 24) blocks.delete(blocks.keys().next().value);
  }
  const [picture, overlay] = blocks.get(number)[item.place % run.stored.block].split(" ");
  return { picture, overlay, heat: item.heat, truth: "", outlines: [] };
}

function largeOf(item) {
  const block = byId(`large-${item.place}`);
  return block ? JSON.parse(block.textContent) : null;
}

function goodOf(number) {
  const block = number == null ? null : byId(`good-${number}`);
  return block ? JSON.parse(block.textContent) : null;
}

const webp = (base64) => "data:image/webp;base64," + base64;
const png = (base64) => "data:image/png;base64," + base64;

function decoded(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

// The colour of a share of the scale, 0 to 1, between the shades that Python gave.
function shade(share) {
  const shades = run.colours,
    at = Math.min(1, Math.max(0, share)) * (shades.length - 1);
  const below = Math.min(Math.floor(at), shades.length - 2),
    part = at - below;
  return shades[below].map((value, channel) => Math.round(value + (shades[below + 1][channel] - value) * part));
}

// RGBA of the 256 greys of a map that goes from one score to another: the hotter, the less transparent.
function heatTable([low, , high]) {
  const [cold, hot] = run.scale,
    table = new Uint8ClampedArray(1024);
  for (let grey = 0; grey < 256; grey++) {
    const share = Math.min(1, Math.max(0, (low + ((high - low) * grey) / 255 - cold) / (hot - cold)));
    table.set([...shade(share), 255 * share], 4 * grey);
  }
  return table;
}

// Draws the map of a picture on a canvas, smoothly enlarged before it is coloured.
async function drawHeat(canvas, pixels, enlarged) {
  const grey = await decoded(png(pixels.overlay));
  const scale = Math.max(1, enlarged / Math.max(grey.naturalWidth, grey.naturalHeight));
  canvas.width = Math.round(grey.naturalWidth * scale);
  canvas.height = Math.round(grey.naturalHeight * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(grey, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height),
    table = heatTable(pixels.heat);
  for (let at = 0; at < image.data.length; at += 4)
    image.data.set(table.subarray(4 * image.data[at], 4 * image.data[at] + 4), at);
  context.putImageData(image, 0, 0);
}

// A picture with its heat laid over it: an image and, above it, a canvas or the tinted picture.
function layers(pixels, alternative, enlarged = 96) {
  if (!pixels.picture) return [element("span.missing", {}, "no picture")];
  const picture = element("img", {
    src: webp(pixels.picture),
    alt: alternative,
    draggable: "false",
    decoding: "async",
  });
  if (!pixels.overlay) return [picture];
  if (!pixels.heat)
    return [
      picture,
      element("img.heat", { src: webp(pixels.overlay), alt: "", draggable: "false", decoding: "async" }),
    ];
  const canvas = element("canvas.heat", { "aria-hidden": "true" });
  drawHeat(canvas, pixels, enlarged);
  return [picture, canvas];
}
