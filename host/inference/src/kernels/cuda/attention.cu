// Attention over pages of keys and values (online softmax: Milakov and Gimelshein, arXiv:1805.02867; pages: Kwon et al.,
// arXiv:2309.06180; sequences split among blocks: Dao et al., Flash-Decoding).
//
// A page has, for each block of the model and each key head, keys as `[padded / 4][16 tokens][4]`, so that neighbouring
// lanes read neighbouring tokens, then values as `[16 tokens][padded]`; `padded` is the head's width in whole sixteens.

#define PAGE 16
#define WARPS 4

// A row's token goes to `place / PAGE` of the pages, slot `place % PAGE`: `where` is pairs of page pointer and slot.
extern "C" __global__ void store(const float* keys, const float* values, const uint64_t* where, uint32_t block, uint32_t kv_heads,
                                 uint32_t width, uint32_t padded, uint32_t count) {
    uint32_t own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    uint32_t row = own / (kv_heads * width), head = own / width % kv_heads, at = own % width;
    float* page = (float*)where[2 * row] + ((uint64_t)block * kv_heads + head) * 2 * PAGE * padded;
    uint32_t slot = (uint32_t)where[2 * row + 1];
    page[(at / 4 * PAGE + slot) * 4 + at % 4] = keys[own];
    page[PAGE * padded + slot * padded + at] = values[own];
}

// What a block works on: up to `P` queries of one key head that look at the same pages, `group` of each row side by side.
// `pieces` has six numbers for each: the first of its page pointers, counted in `pieces` itself; the first row of its span;
// its first place in the span; how many places; the tokens that the span's first row sees; and the tokens that every row
// sees more than the one before, 1 or 0.
template <int P, int J>
DEVICE void attend(const float* queries, float* out, float* partial, const uint64_t* pieces, uint32_t block, uint32_t kv_heads,
                   uint32_t group, uint32_t width, uint32_t padded) {
    extern __shared__ float4 shared[];
    float* query = (float*)shared;            // [P][padded]
    float* weights = query + P * padded;      // [WARPS][P][PAGE]
    float* mixed = weights + WARPS * P * PAGE; // [WARPS][P][padded + 2]
    const uint64_t* piece = pieces + 6 * (uint64_t)blockIdx.x;
    const uint64_t* pages = pieces + piece[0];
    uint32_t first = (uint32_t)piece[1], place = (uint32_t)piece[2], count = (uint32_t)piece[3];
    uint32_t base = (uint32_t)piece[4], more = (uint32_t)piece[5];
    uint32_t head = blockIdx.y, heads = kv_heads * group;
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (uint32_t at = threadIdx.x; at < P * padded; at += blockDim.x) {
        uint32_t p = at / padded, column = at % padded, row = first + (place + p) / group;
        bool real = p < count && column < width;
        query[at] = real ? queries[((uint64_t)row * heads + head * group + (place + p) % group) * width + column] : 0.0f;
    }
    __syncthreads();

    // This block's share of the pages that its last query sees.
    uint32_t seen = base + more * ((place + count - 1) / group), all = (seen + PAGE - 1) / PAGE;
    uint32_t share = (all + gridDim.z - 1) / gridDim.z, from = blockIdx.z * share, to = min(from + share, all);
    float scale = 1.0f / sqrtf((float)width);
    float most[P], total[P], sums[P][J];
#pragma unroll
    for (int p = 0; p < P; p++) {
        most[p] = -INFINITY;
        total[p] = 0.0f;
#pragma unroll
        for (int j = 0; j < J; j++) sums[p][j] = 0.0f;
    }
    for (uint32_t index = from + warp; index < to; index += WARPS) {
        const float* page = (const float*)pages[index] + ((uint64_t)block * kv_heads + head) * 2 * PAGE * padded;
        // Two lanes for a token, each every other four columns.
        uint32_t slot = lane % PAGE;
        float products[P] = {};
        for (uint32_t four = lane / PAGE; four < padded / 4; four += 2) {
            // A width that is no multiple of 16 ends in columns that nothing wrote but zeros.
            float4 key = ((const float4*)page)[four * PAGE + slot];
#pragma unroll
            for (int p = 0; p < P; p++) {
                float4 q = ((const float4*)(query + p * padded))[four];
                products[p] += key.x * q.x + key.y * q.y + key.z * q.z + key.w * q.w;
            }
        }
        __syncwarp(); // the weights of the page before are read by now
#pragma unroll
        for (int p = 0; p < P; p++) {
            float score = (products[p] + __shfl_xor_sync(~0u, products[p], PAGE)) * scale;
            uint32_t limit = base + more * ((place + min((uint32_t)p, count - 1)) / group);
            if (index * PAGE + slot >= limit) score = -INFINITY;
            float high = score;
            for (int step = PAGE / 2; step > 0; step /= 2) high = fmaxf(high, __shfl_xor_sync(~0u, high, step));
            high = fmaxf(high, most[p]);
            // A query that has seen nothing yet has nothing to scale down.
            float down = most[p] == -INFINITY ? 0.0f : expf(most[p] - high);
            float weight = score == -INFINITY ? 0.0f : expf(score - high);
            if (lane < PAGE) weights[(warp * P + p) * PAGE + slot] = weight;
            for (int step = PAGE / 2; step > 0; step /= 2) weight += __shfl_xor_sync(~0u, weight, step);
            most[p] = high;
            total[p] = total[p] * down + weight;
#pragma unroll
            for (int j = 0; j < J; j++) sums[p][j] *= down;
        }
        __syncwarp();
        const float* values = page + PAGE * padded;
        uint32_t tokens = min((uint32_t)PAGE, seen - index * PAGE);
        for (uint32_t token = 0; token < tokens; token++) {
#pragma unroll
            for (int j = 0; j < J; j++) {
                uint32_t column = lane + 32 * j;
                float value = column < padded ? values[token * padded + column] : 0.0f;
#pragma unroll
                for (int p = 0; p < P; p++) sums[p][j] += weights[(warp * P + p) * PAGE + token] * value;
            }
        }
    }
    uint32_t stride = padded + 2;
#pragma unroll
    for (int p = 0; p < P; p++) {
        float* mine = mixed + (warp * P + p) * stride;
        if (lane == 0) {
            mine[0] = most[p];
            mine[1] = total[p];
        }
#pragma unroll
        for (int j = 0; j < J; j++)
            if (lane + 32 * j < padded) mine[2 + lane + 32 * j] = sums[p][j];
    }
    __syncthreads();
    for (uint32_t at = threadIdx.x; at < count * width; at += blockDim.x) {
        uint32_t p = at / width, column = at % width;
        float high = -INFINITY, all_weights = 0.0f, sum = 0.0f;
        for (uint32_t w = 0; w < WARPS; w++) high = fmaxf(high, mixed[(w * P + p) * stride]);
        for (uint32_t w = 0; w < WARPS; w++) {
            float* theirs = mixed + (w * P + p) * stride;
            float down = theirs[0] == -INFINITY ? 0.0f : expf(theirs[0] - high);
            all_weights += theirs[1] * down;
            sum += theirs[2 + column] * down;
        }
        uint64_t row = first + (place + p) / group, query_head = head * group + (place + p) % group;
        uint64_t to_place = row * heads + query_head;
        if (gridDim.z == 1) {
            out[to_place * width + column] = sum / all_weights;
        } else {
            float* share_of = partial + (to_place * gridDim.z + blockIdx.z) * (width + 2);
            share_of[2 + column] = sum;
            if (column == 0) {
                share_of[0] = high;
                share_of[1] = all_weights;
            }
        }
    }
}

#define ATTEND(P, J)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * WARPS)                                                         \
    attend_##P##_##J(const float* queries, float* out, float* partial, const uint64_t* pieces, uint32_t block,       \
                     uint32_t kv_heads, uint32_t group, uint32_t width, uint32_t padded) {                           \
        attend<P, J>(queries, out, partial, pieces, block, kv_heads, group, width, padded);                          \
    }
ATTEND(1, 2)
ATTEND(1, 4)
ATTEND(1, 8)
ATTEND(4, 2)
ATTEND(4, 4)
ATTEND(4, 8)
ATTEND(8, 2)
ATTEND(8, 4)
ATTEND(8, 8)

// The shares of `splits` blocks put together, one thread for each number of the result.
extern "C" __global__ void gather(const float* partial, float* out, uint32_t splits, uint32_t width, uint32_t count) {
    uint32_t own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    const float* shares = partial + (uint64_t)(own / width) * splits * (width + 2);
    float high = -INFINITY, all = 0.0f, sum = 0.0f;
    for (uint32_t split = 0; split < splits; split++) high = fmaxf(high, shares[split * (width + 2)]);
    for (uint32_t split = 0; split < splits; split++) {
        const float* share = shares + split * (width + 2);
        float down = share[0] == -INFINITY ? 0.0f : expf(share[0] - high);
        all += share[1] * down;
        sum += share[2 + own % width] * down;
    }
    out[own] = sum / all;
}
