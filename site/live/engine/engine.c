// The arithmetic of a small CNN, forwards and back to the image, for images of any size.
//
// Maps are (rows, columns, maps), as in Keras. A convolution is always "valid" here: zeros around its maps are already
// there where a layer pads. The number of maps is 1, for the gray image, or a multiple of 8: `weights.js` adds maps of
// zeros up to that. Build it with `make engine.wasm` in this folder.
typedef float f4 __attribute__((vector_size(16), aligned(4)));
typedef int i4 __attribute__((vector_size(16), aligned(4)));
#define EXPORT __attribute__((visibility("default")))

enum { AWAKE = 1, POSITIVE = 2 };  // rules by which a signal passes a ReLU on its way back; a gradient asks for AWAKE

static void add_scaled(float *to, const float *from, float times, int count) {
  int n = 0;
  for (; n + 4 <= count; n += 4) *(f4 *)(to + n) += times * *(const f4 *)(from + n);
  for (; n < count; n++) to[n] += times * from[n];
}

static float dot(const float *a, const float *b, int count) {
  f4 sums = {0, 0, 0, 0};
  float rest = 0;
  int n = 0;
  for (; n + 4 <= count; n += 4) sums += *(const f4 *)(a + n) * *(const f4 *)(b + n);
  for (; n < count; n++) rest += a[n] * b[n];
  return sums[0] + sums[1] + sums[2] + sums[3] + rest;
}

// Convolution, ReLU and 2 x 2 max pooling in one loop. For each square of four nodes it leaves the largest in `best`
// and which of the four that is, 0..3 row by row, in `which`, both (rows / 2, columns / 2, out). `kernel` is (kernel
// height, kernel width, in, out). Four nodes and eight maps are summed at a time, because these sums fit the registers.
EXPORT void convolve_and_pool(const float *maps, int height, int width, int in, const float *kernel, int kernel_height,
                              int kernel_width, const float *bias, int out, float *best, int *which) {
  int rows = (height - kernel_height + 1) / 2, columns = (width - kernel_width + 1) / 2, line = width * in;
  for (int o = 0; o < out; o += 8)
    for (int row = 0; row < rows; row++)
      for (int column = 0; column < columns; column++) {
        f4 sums[4][2];
        const f4 *b = (const f4 *)(bias + o);
        for (int n = 0; n < 4; n++) sums[n][0] = b[0], sums[n][1] = b[1];
        for (int y = 0; y < kernel_height; y++) {
          const float *x = maps + ((2 * row + y) * width + 2 * column) * in;
          const float *w = kernel + y * kernel_width * in * out + o;
          for (int i = 0; i < kernel_width * in; i++, w += out) {
            f4 left = ((const f4 *)w)[0], right = ((const f4 *)w)[1];
            float nodes[4] = {x[i], x[i + in], x[i + line], x[i + line + in]};
            for (int n = 0; n < 4; n++) sums[n][0] += left * nodes[n], sums[n][1] += right * nodes[n];
          }
        }
        int place = (row * columns + column) * out + o;
        for (int half = 0; half < 2; half++) {
          f4 most = sums[0][half];
          i4 node = {0, 0, 0, 0};
          for (int n = 1; n < 4; n++) {
            i4 more = sums[n][half] > most;  // all bits set where it is
            most = (f4)(((i4)sums[n][half] & more) | ((i4)most & ~more));
            node = ((i4){n, n, n, n} & more) | (node & ~more);
          }
          *(f4 *)(best + place + 4 * half) = (f4)((i4)most & (most > 0));  // the ReLU
          *(i4 *)(which + place + 4 * half) = node;
        }
      }
}

// The nodes (rows, columns, out) of a convolution before its ReLU, or after it if they are to be `rectified`. Most
// nodes of a digit's maps are 0, so these are skipped.
EXPORT void convolve(const float *maps, int height, int width, int in, const float *kernel, int kernel_height,
                     int kernel_width, const float *bias, int out, int rectified, float *nodes) {
  int rows = height - kernel_height + 1, columns = width - kernel_width + 1;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++)
      for (int o = 0; o < out; o += 8) {
        f4 left = ((const f4 *)(bias + o))[0], right = ((const f4 *)(bias + o))[1];
        for (int y = 0; y < kernel_height; y++) {
          const float *x = maps + ((row + y) * width + column) * in, *w = kernel + y * kernel_width * in * out + o;
          for (int i = 0; i < kernel_width * in; i++, w += out)
            if (x[i] != 0) left += x[i] * ((const f4 *)w)[0], right += x[i] * ((const f4 *)w)[1];
        }
        f4 *to = (f4 *)(nodes + (row * columns + column) * out + o);
        to[0] = rectified ? (f4)((i4)left & (left > 0)) : left;
        to[1] = rectified ? (f4)((i4)right & (right > 0)) : right;
      }
}

// The way back of both: `slopes` (rows, columns, out) say how much an answer rises with each node that a stage left in
// `best`; what this means for the maps below, `width` columns wide, is added to `below`. Only the node that won its
// square counts; without pooling `which` is 0. `turned` is the kernel as (out, kernel height, kernel width, in).
EXPORT void go_back(const float *slopes, const float *best, const int *which, int rows, int columns, int width, int in,
                    const float *turned, int kernel_height, int kernel_width, int out, int rule, float *below) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++)
      for (int o = 0; o < out; o++) {
        int place = (row * columns + column) * out + o, awake = best[place] > 0;
        float slope = slopes[place];
        if (slope == 0 || ((rule & AWAKE) && !awake) || ((rule & POSITIVE) && slope < 0)) continue;
        int node = which && awake ? which[place] : 0;  // of four zeros the first one counts, as in TensorFlow
        int y = which ? 2 * row + (node >> 1) : row, x = which ? 2 * column + (node & 1) : column;
        for (int line = 0; line < kernel_height; line++)
          add_scaled(below + ((y + line) * width + x) * in, turned + (o * kernel_height + line) * kernel_width * in,
                     slope, kernel_width * in);
      }
}

// One map of the last layer, the only one that is needed when it alone is climbed. Returns the mean of its nodes before
// the ReLU, a negative one counting `leak` times, and adds `weight` times the slopes of that mean to `below`. `kernel`
// is (kernel height, kernel width, in), the map's own part of `turned`.
EXPORT float climb_map(const float *maps, int height, int width, int in, const float *kernel, int kernel_height,
                       int kernel_width, float bias, float leak, float weight, float *below) {
  int rows = height - kernel_height + 1, columns = width - kernel_width + 1, count = kernel_width * in;
  float sum = 0, share = 1.0f / (rows * columns);
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      int at = (row * width + column) * in;
      float node = bias;
      for (int y = 0; y < kernel_height; y++) node += dot(maps + at + y * width * in, kernel + y * count, count);
      float counts = node > 0 ? 1 : leak;
      sum += counts * node;
      if (counts == 0) continue;
      for (int y = 0; y < kernel_height; y++)
        add_scaled(below + at + y * width * in, kernel + y * count, counts * weight * share, count);
    }
  return sum * share;
}

// left (rows, inner) times right (inner, columns): dense layers, and `soften`.
EXPORT void multiply(const float *left, const float *right, int rows, int inner, int columns, float *result) {
  for (int row = 0; row < rows; row++) {
    float *to = result + row * columns;
    for (int column = 0; column < columns; column++) to[column] = 0;
    for (int i = 0; i < inner; i++)
      if (left[row * inner + i] != 0) add_scaled(to, right + i * columns, left[row * inner + i], columns);
  }
}
