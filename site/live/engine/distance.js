// For each pixel the nearest one of some kind. As scipy's `distance_transform_edt`, by the lower envelope of parabolas
// (Felzenszwalb and Huttenlocher 2012): first along the columns, then along the rows.

// `isWanted` tells from a pixel's value whether it is of that kind; {distances, places} say how far the nearest of these
// is from each pixel, and where.
export function nearest({ values, height, width }, isWanted) {
  const rows = nearestRows(values, height, width, isWanted), places = new Int32Array(values.length);
  const distances = new Float64Array(values.length), squares = new Float64Array(width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const found = rows[row * width + column];
      squares[column] = found < 0 ? Infinity : (row - found) ** 2;
    }
    lowestParabolas(squares).forEach((from, column) => {
      const n = row * width + column;
      places[n] = from < 0 ? -1 : rows[row * width + from] * width + from;
      distances[n] = from < 0 ? Infinity : Math.sqrt(squares[from] + (column - from) ** 2);
    });
  }
  return { distances, places };
}

// For each pixel the row of the nearest wanted one in its column, -1 if there is none; of two the one above.
function nearestRows(values, height, width, isWanted) {
  const rows = new Int32Array(values.length).fill(-1);
  for (let column = 0; column < width; column++) {
    for (let row = 0, last = -1; row < height; row++) {
      if (isWanted(values[row * width + column])) last = row;
      rows[row * width + column] = last;
    }
    for (let row = height - 1, next = -1; row >= 0; row--) {
      const n = row * width + column;
      if (isWanted(values[n])) next = row;
      if (next >= 0 && (rows[n] < 0 || next - row < row - rows[n])) rows[n] = next;
    }
  }
  return rows;
}

// For each place the origin of the parabola heights[origin] + (place - origin)^2 that is lowest there, -1 for none.
function lowestParabolas(heights) {
  const origins = [], begins = [], count = heights.length, lowest = new Int32Array(count).fill(-1);
  for (let origin = 0; origin < count; origin++) {
    if (heights[origin] === Infinity) continue;
    let begin = -Infinity;
    while (origins.length) {
      const last = origins.at(-1);
      begin = (heights[origin] + origin ** 2 - heights[last] - last ** 2) / (2 * (origin - last));
      if (begin > begins.at(-1)) break;
      origins.pop();
      begins.pop();
      begin = -Infinity;
    }
    origins.push(origin);
    begins.push(begin);
  }
  for (let place = 0, n = 0; place < count && origins.length; place++) {
    while (n + 1 < origins.length && begins[n + 1] < place) n++;
    lowest[place] = origins[n];
  }
  return lowest;
}
