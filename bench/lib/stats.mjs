// Medians and quartiles.

export function median(values) {
  return quantile(values, 0.5);
}

/** { median, lowerQuartile, upperQuartile } */
export function spread(values) {
  return {
    median: median(values),
    lowerQuartile: quantile(values, 0.25),
    upperQuartile: quantile(values, 0.75),
  };
}

/** The spread of the ratios inside each repeat, which noise that lasts longer than a repeat does not touch. */
export function ratio(values, base) {
  return spread(values.map((value, index) => value / base[index]));
}

function quantile(values, at) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}
