// Copyright 2026 The dcgan_hf authors.
// Licensed under the Apache License, Version 2.0.
//
// Linear maps between pixels and tiles, see tiles.py. A tile of `taps` x `taps` pixels becomes `points` x `points`
// values, the products of a matrix with its rows and columns, and back with the transposed matrix. The arithmetic is
// in single precision. Memory bounds the speed, so pixels and tiles are read and written once.

#include <stdint.h>
#include <string.h>

// Channels that one instruction processes.
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES), aligned(2)));
typedef uint16_t bfloat16;

static inline Vector load(const float *from) { return *(const Vector *)from; }
static inline void store(float *to, Vector values) { *(Vector *)to = values; }

static inline Vector load(const bfloat16 *from) {
    return (Vector)(__builtin_convertvector(*(const Halves *)from, Bits) << 16);
}

static inline void store(bfloat16 *to, Vector values) {
    const Bits bits = (Bits)values;
    const Bits rounded = bits + 0x7fff + ((bits >> 16) & 1);  // to nearest, ties to even
    const Bits kept = values == values ? rounded : (bits | 0x400000);  // rounding must not make a NaN infinite
    *(Halves *)to = __builtin_convertvector(kept >> 16, Halves);
}

// The last channels may be fewer than LANES.
template <typename Value> static inline Vector load(const Value *from, int64_t channels) {
    if (channels >= LANES) return load(from);
    Value values[LANES] = {};
    memcpy(values, from, channels * sizeof(Value));
    return load(values);
}

template <typename Value> static inline void store(Value *to, Vector values, int64_t channels) {
    if (channels >= LANES) return store(to, values);
    Value all[LANES];
    store(all, values);
    memcpy(to, all, channels * sizeof(Value));
}

// Polynomials with `TAPS` coefficients at the points 0, 1, infinity, or 0, 1, -1, 2, infinity. With as many taps as
// points: the transposed inverse, which interpolates.
template <int POINTS, int TAPS> struct Matrix;
template <> struct Matrix<3, 2> {
    static constexpr float at[3][2] = {{1, 0}, {1, 1}, {0, 1}};
};
template <> struct Matrix<3, 3> {
    static constexpr float at[3][3] = {{1, -1, 0}, {0, 1, 0}, {0, -1, 1}};
};
template <> struct Matrix<5, 2> {
    static constexpr float at[5][2] = {{1, 0}, {1, 1}, {1, -1}, {1, 2}, {0, 1}};
};
template <> struct Matrix<5, 3> {
    static constexpr float at[5][3] = {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {0, 0, 1}};
};
template <> struct Matrix<5, 4> {
    static constexpr float at[5][4] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {0, 0, 0, 1}};
};
template <> struct Matrix<5, 5> {
    static constexpr float at[5][5] = {{1, -.5f, -1, .5f, 0},
                                       {0, 1, .5f, -.5f, 0},
                                       {0, -1 / 3.f, .5f, -1 / 6.f, 0},
                                       {0, -1 / 6.f, 0, 1 / 6.f, 0},
                                       {0, 2, -1, -2, 1}};
};

#define UNROLL _Pragma("GCC unroll 8")

// Replaces taps x taps values by points x points.
template <int POINTS, int TAPS> static void evaluate(Vector *values) {
    typedef Matrix<POINTS, TAPS> M;
    Vector half[POINTS * TAPS];
    UNROLL for (int v = 0; v < TAPS; v++) UNROLL for (int k = 0; k < POINTS; k++) {
        Vector sum = {};
        UNROLL for (int u = 0; u < TAPS; u++) if (M::at[k][u] != 0) sum += M::at[k][u] * values[u * TAPS + v];
        half[k * TAPS + v] = sum;
    }
    UNROLL for (int k = 0; k < POINTS; k++) UNROLL for (int l = 0; l < POINTS; l++) {
        Vector sum = {};
        UNROLL for (int v = 0; v < TAPS; v++) if (M::at[l][v] != 0) sum += M::at[l][v] * half[k * TAPS + v];
        values[k * POINTS + l] = sum;
    }
}

// The adjoint: replaces points x points values by taps x taps.
template <int POINTS, int TAPS> static void combine(Vector *values) {
    typedef Matrix<POINTS, TAPS> M;
    Vector half[POINTS * TAPS];
    UNROLL for (int k = 0; k < POINTS; k++) UNROLL for (int v = 0; v < TAPS; v++) {
        Vector sum = {};
        UNROLL for (int l = 0; l < POINTS; l++) if (M::at[l][v] != 0) sum += M::at[l][v] * values[k * POINTS + l];
        half[k * TAPS + v] = sum;
    }
    UNROLL for (int v = 0; v < TAPS; v++) UNROLL for (int u = 0; u < TAPS; u++) {
        Vector sum = {};
        UNROLL for (int k = 0; k < POINTS; k++) if (M::at[k][u] != 0) sum += M::at[k][u] * half[k * TAPS + v];
        values[u * TAPS + v] = sum;
    }
}

enum { MOST_VALUES = 25 };  // of a tile

typedef void (*Change)(Vector *values);

// Mirrors the class `_Job` of tiles.py.
struct Job {
    void *pixels;  // images, height, width, channels
    void *tiles;   // points * points, images * rows * columns, phases * phases * channels
    int64_t images, height, width, channels, rows, columns;
    int64_t points, taps, step, phases, padding;
    int64_t plane;  // distance from a tile's value to the next
    const float *bias;  // of each channel, added to the pixels, or 0
    Change change;
};

template <typename Pixel, typename Tile, bool TO_TILES> static void run(int64_t begin, int64_t end, void *context) {
    const Job job = *(const Job *)context;
    const int64_t num_phases = job.phases * job.phases, depth = num_phases * job.channels;
    const int64_t num_pixels = job.taps * job.taps, num_values = job.points * job.points;
    const int64_t overlap = job.taps - job.step;  // with the tiles above and to the left
    for (int64_t image = begin; image < end; image++)
        for (int64_t index = 0; index < job.rows * job.columns; index++)
            for (int64_t phase = 0; phase < num_phases; phase++) {
                const int64_t i = index / job.columns, j = index % job.columns;
                const int64_t top = job.phases * job.step * i + phase / job.phases - job.padding;
                const int64_t left = job.phases * job.step * j + phase % job.phases - job.padding;
                Pixel *pixels[MOST_VALUES];  // 0 outside of the image
                bool adds[MOST_VALUES];
                for (int64_t u = 0; u < job.taps; u++)
                    for (int64_t v = 0; v < job.taps; v++) {
                        const int64_t y = top + job.phases * u, x = left + job.phases * v;
                        const bool is_inside = y >= 0 && y < job.height && x >= 0 && x < job.width;
                        const int64_t offset = ((image * job.height + y) * job.width + x) * job.channels;
                        pixels[u * job.taps + v] = is_inside ? (Pixel *)job.pixels + offset : 0;
                        adds[u * job.taps + v] = (i > 0 && u < overlap) || (j > 0 && v < overlap);
                    }
                Tile *tile = (Tile *)job.tiles + (image * job.rows * job.columns + index) * depth + phase * job.channels;
                Vector values[MOST_VALUES];
                for (int64_t c = 0; c < job.channels; c += LANES) {
                    const int64_t left_over = job.channels - c;
                    if (TO_TILES) {
                        for (int64_t p = 0; p < num_pixels; p++)
                            values[p] = pixels[p] ? load(pixels[p] + c, left_over) : Vector{};
                        job.change(values);
                        for (int64_t k = 0; k < num_values; k++) store(tile + k * job.plane + c, values[k], left_over);
                    } else {
                        for (int64_t k = 0; k < num_values; k++) values[k] = load(tile + k * job.plane + c, left_over);
                        job.change(values);
                        for (int64_t p = 0; p < num_pixels; p++)
                            if (pixels[p]) {
                                const Vector before = adds[p]    ? load(pixels[p] + c, left_over)
                                                      : job.bias ? load(job.bias + c, left_over)
                                                                 : Vector{};
                                store(pixels[p] + c, before + values[p], left_over);
                            }
                    }
                }
            }
}

typedef void (*Body)(int64_t begin, int64_t end, void *context);
typedef int (*ParallelFor)(int64_t begin, int64_t end, int64_t grain, Body body, void *context);  // PyTorch's

template <bool TO_TILES> static Body choose_types(bool half_pixels, bool half_tiles) {
    if (half_pixels) return run<bfloat16, bfloat16, TO_TILES>;
    return half_tiles ? run<float, bfloat16, TO_TILES> : run<float, float, TO_TILES>;
}

extern "C" int dcgan_to_tiles(ParallelFor parallel_for, Job *job, bool half_pixels, bool half_tiles) {
    static const Change three[] = {0, 0, evaluate<3, 2>, evaluate<3, 3>};
    static const Change five[] = {0, 0, evaluate<5, 2>, evaluate<5, 3>, evaluate<5, 4>, evaluate<5, 5>};
    job->change = (job->points == 3 ? three : five)[job->taps];
    return parallel_for(0, job->images, 1, choose_types<true>(half_pixels, half_tiles), job);
}

extern "C" int dcgan_to_pixels(ParallelFor parallel_for, Job *job, bool half_pixels, bool half_tiles) {
    static const Change three[] = {0, 0, combine<3, 2>, combine<3, 3>};
    static const Change five[] = {0, 0, combine<5, 2>, combine<5, 3>, combine<5, 4>, combine<5, 5>};
    job->change = (job->points == 3 ? three : five)[job->taps];
    return parallel_for(0, job->images, 1, choose_types<false>(half_pixels, half_tiles), job);
}
