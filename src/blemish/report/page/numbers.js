"use strict";
// Counting and statistics: pure functions, no page.

// Index of the first of ascending values that is >= x.
function lowerBound(values, x) {
  let low = 0,
    high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

function ascending(values) {
  return Float64Array.from(values).sort();
}

// accept, review or reject: score < accept accepts, score >= reject rejects.
function verdictOf(score, thresholds) {
  if (score < thresholds.accept) return "accept";
  return score >= thresholds.reject ? "reject" : "review";
}

function worse(one, other) {
  const verdicts = ["accept", "review", "reject"];
  return verdicts[Math.max(verdicts.indexOf(one), verdicts.indexOf(other))];
}

// How many of ascending scores get each verdict.
function counted(scores, { accept, reject }) {
  const accepted = lowerBound(scores, accept);
  const kept = lowerBound(scores, reject);
  return { accept: accepted, review: kept - accepted, reject: scores.length - kept };
}

function logGamma(x) {
  const lanczos = [
    76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
    -0.5395239384953e-5,
  ];
  const shifted = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  const series = lanczos.reduce((sum, factor, index) => sum + factor / (x + 1 + index), 1.000000000190015);
  return -shifted + Math.log((2.5066282746310005 * series) / x);
}

// Lentz's continued fraction of the incomplete beta function.
function betaFraction(x, a, b) {
  const tiny = 1e-300,
    away = (value) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1,
    d = 1 / away(1 - ((a + b) * x) / (a + 1)),
    result = d;
  for (let m = 1; m <= 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < 1e-12) break;
  }
  return result;
}

// Regularised incomplete beta function, the distribution of a beta variable.
function betaCdf(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaQuantile(share, a, b) {
  let low = 0,
    high = 1;
  for (let step = 0; step < 44; step++) {
    const middle = (low + high) / 2;
    if (betaCdf(middle, a, b) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The exact (Clopper-Pearson) 95 % interval of a rate that was seen k times in n.
function interval(k, n, level = 0.95) {
  const tail = (1 - level) / 2;
  if (!n) return [0, 1];
  return [k ? betaQuantile(tail, k, n - k + 1) : 0, k < n ? betaQuantile(1 - tail, k + 1, n - k) : 1];
}

// Chance that a defect scores above a good part, a tie counting half; both ascending.
function auroc(good, defects) {
  if (!good.length || !defects.length) return null;
  let won = 0;
  for (const score of defects) won += (lowerBound(good, score) + firstAbove(good, score)) / 2;
  return won / good.length / defects.length;
}

// Index of the first of ascending values that is > x.
function firstAbove(values, x) {
  let low = 0,
    high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// For every threshold that tells apart: [share of good parts rejected, share of defects rejected], from [0, 0] on.
function rocPoints(good, defects, most = 400) {
  const levels = Array.from(new Set([...good, ...defects])).sort((a, b) => b - a);
  const points = levels.map((level) => [
    (good.length - lowerBound(good, level)) / good.length,
    (defects.length - lowerBound(defects, level)) / defects.length,
  ]);
  const bent = [[0, 0], ...points].filter((point, index, all) => {
    const before = all[index - 1],
      after = all[index + 1];
    // A point on a straight line between its neighbours shows nothing.
    return (
      !before ||
      !after ||
      !((before[0] === point[0] && point[0] === after[0]) || (before[1] === point[1] && point[1] === after[1]))
    );
  });
  const step = Math.max(1, bent.length / most);
  return Array.from({ length: Math.ceil(bent.length / step) }, (_, index) => bent[Math.floor(index * step)]).concat([
    [1, 1],
  ]);
}

function quantile(values, share) {
  if (!values.length) return NaN;
  const at = (values.length - 1) * share,
    below = Math.floor(at);
  return values[below] + (values[Math.min(below + 1, values.length - 1)] - values[below]) * (at - below);
}

// Round numbers from low to high, about as many as asked for.
function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted),
    power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw) || raw;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step)
    found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

// Four digits that count, without needless zeros.
function shortNumber(value) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4))
    return value.toExponential(2).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

function percent(share, digits) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–";
}

// Whole percents, with one more digit near none and near all.
function roughly(share) {
  return percent(share, (share > 0 && share < 0.01) || (share > 0.99 && share < 1) ? 1 : 0);
}

// So many: "1 picture", "3 pictures".
function amount(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

// Thousands apart, by a narrow space that does not break.
function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
