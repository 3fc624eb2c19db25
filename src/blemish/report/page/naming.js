// How well defects are named: metrics, and what is taken for what.

const NAMING = {
  accuracy: "Named right",
  balanced_accuracy: "Balanced accuracy",
  macro_f1: "Macro F1",
  top_2_accuracy: "One of the two likeliest",
  found_and_named: "Not accepted and named right",
  joint_macro_f1: "Macro F1 with good parts",
  unknown_auroc: "AUROC of other defects",
  micro_f1: "Micro F1",
  mean_average_precision: "Mean average precision",
  quadratic_kappa: "Quadratic kappa of grades",
  coverage: "Sets that hold the right type",
  set_size: "Types in a set",
  calibration_error: "Calibration error",
};

function namingTable() {
  const found = run.measures?.naming;
  if (!found) return null;
  const rows = Object.entries(NAMING)
    .filter(([key]) => found[key])
    .map(([key, name]) => {
      const { value, low, high } = found[key];
      const interval = low == null ? "" : `${three(low)} – ${three(high)}`;
      return [name, element("b", {}, three(value)), element("span.quiet", {}, interval)];
    });
  return table(["Metric", "value", "95 %"], rows);
}

// Each cell is as dark as its share of the row; what is right has the colour of good parts.
function confusionTable() {
  const { names, confusion } = run.measures?.naming ?? {};
  if (!names) return null;
  const drawn = table(
    ["is, and is said to be", ...names],
    confusion.map((row, index) => [names[index], ...row.map((count) => (count ? grouped(count) : ""))]),
  );
  drawn.querySelectorAll("tbody tr").forEach((line, index) => {
    const all = confusion[index].reduce((sum, count) => sum + count, 0);
    line.querySelectorAll("td").forEach((cell, column) => {
      const share = all ? confusion[index][column] / all : 0;
      const colour = index === column ? "--good" : "--defect";
      cell.style.background = `color-mix(in srgb, var(${colour}) ${Math.round(70 * share)}%, transparent)`;
    });
  });
  drawn.classList.add("confusion");
  return drawn;
}
