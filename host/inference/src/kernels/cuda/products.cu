// Products with a matrix in its file's encoding, and rows of it: compiled once for each encoding, `ENCODING`.

// Eight numbers of a row of activations; 0 beyond its end.
DEVICE void load8(const float* row, uint32_t chunk, uint32_t columns, float* out) {
    if (columns % 4 == 0 && chunk * 8 + 8 <= columns) {
        const float4* four = (const float4*)(row + chunk * 8);
        float4 a = four[0], b = four[1];
        out[0] = a.x; out[1] = a.y; out[2] = a.z; out[3] = a.w;
        out[4] = b.x; out[5] = b.y; out[6] = b.z; out[7] = b.w;
        return;
    }
    for (uint32_t at = 0; at < 8; at++) out[at] = chunk * 8 + at < columns ? row[chunk * 8 + at] : 0.0f;
}

// A warp for each output; `M` rows of activations share every look at the weights. Decode reads each weight once.
template <int M>
DEVICE void few_rows(const uint8_t* weights, const float* x, float* out, uint32_t outputs, uint32_t columns, uint32_t count) {
    uint32_t output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (output >= outputs) return;
    const uint8_t* row = weights + output * row_bytes<ENCODING>(columns);
    float sums[M] = {};
    for (uint32_t chunk = lane; chunk * 8 < columns; chunk += 32) {
        float w[8], a[8];
        decode8<ENCODING>(row, chunk, columns, w);
#pragma unroll
        for (uint32_t m = 0; m < M; m++) {
            if (m >= count) break;
            load8(x + (uint64_t)m * columns, chunk, columns, a);
#pragma unroll
            for (int at = 0; at < 8; at++) sums[m] += w[at] * a[at];
        }
    }
#pragma unroll
    for (uint32_t m = 0; m < M; m++) {
        for (int step = 16; step > 0; step /= 2) sums[m] += __shfl_xor_sync(~0u, sums[m], step);
        if (lane == 0 && m < count) out[(uint64_t)m * outputs + output] = sums[m];
    }
}

#define FEW(M)                                                                                                       \
    extern "C" __global__ void few_rows_##M(const uint8_t* weights, const float* x, float* out, uint32_t outputs,    \
                                            uint32_t columns, uint32_t count) {                                      \
        few_rows<M>(weights, x, out, outputs, columns, count);                                                       \
    }
FEW(1)
FEW(4)
FEW(8)

// Tiles of 64 rows by 64 outputs, 32 columns at a time through shared memory; 256 threads, 4 × 4 results each.
extern "C" __global__ void __launch_bounds__(256)
many_rows(const uint8_t* weights, const float* x, float* out, uint32_t outputs, uint32_t columns, uint32_t count) {
    __shared__ float ws[32][65], xs[32][65];
    uint32_t output = blockIdx.x * 64, first = blockIdx.y * 64;
    // Each thread brings eight weights and eight activations of one row.
    uint32_t row = threadIdx.x / 4, part = threadIdx.x % 4;
    uint32_t across = threadIdx.x % 16, down = threadIdx.x / 16;
    float sums[4][4] = {};
    for (uint32_t start = 0; start < columns; start += 32) {
        uint32_t chunk = start / 8 + part;
        bool within = chunk * 8 < columns;
        float w[8] = {}, a[8] = {};
        if (within && output + row < outputs)
            decode8<ENCODING>(weights + (output + row) * row_bytes<ENCODING>(columns), chunk, columns, w);
        if (within && first + row < count) load8(x + (uint64_t)(first + row) * columns, chunk, columns, a);
#pragma unroll
        for (uint32_t at = 0; at < 8; at++) {
            ws[part * 8 + at][row] = w[at];
            xs[part * 8 + at][row] = a[at];
        }
        __syncthreads();
#pragma unroll
        for (uint32_t column = 0; column < 32; column++) {
            float here[4], there[4];
#pragma unroll
            for (uint32_t at = 0; at < 4; at++) {
                here[at] = xs[column][down + 16 * at];
                there[at] = ws[column][across + 16 * at];
            }
#pragma unroll
            for (uint32_t i = 0; i < 4; i++)
#pragma unroll
                for (uint32_t j = 0; j < 4; j++) sums[i][j] += here[i] * there[j];
        }
        __syncthreads();
    }
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < 4; j++) {
            uint32_t to = first + down + 16 * i, of = output + across + 16 * j;
            if (to < count && of < outputs) out[(uint64_t)to * outputs + of] = sums[i][j];
        }
}

// A thread for eight values of a row of the table.
extern "C" __global__ void embed(const uint8_t* table, const uint64_t* ids, float* out, uint32_t columns, uint32_t count) {
    uint32_t chunk = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (row >= count || chunk * 8 >= columns) return;
    float values[8];
    decode8<ENCODING>(table + ids[row] * row_bytes<ENCODING>(columns), chunk, columns, values);
    for (uint32_t at = 0; at < 8 && chunk * 8 + at < columns; at++)
        out[(uint64_t)row * columns + chunk * 8 + at] = values[at];
}
