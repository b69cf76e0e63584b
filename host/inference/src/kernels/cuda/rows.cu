// Operations on rows of floats: norms, activations, sums, rotations.

// The sum, or the greatest, of one number from each thread of a block of 256; every thread gets it.
template <bool GREATEST> DEVICE float together(float value) {
    __shared__ float parts[8];
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(~0u, value, step);
        value = GREATEST ? fmaxf(value, other) : value + other;
    }
    __syncthreads(); // what an earlier call left is read by now
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = parts[0];
    for (int part = 1; part < 8; part++) value = GREATEST ? fmaxf(value, parts[part]) : value + parts[part];
    return value;
}

extern "C" __global__ void __launch_bounds__(256)
rms_norm(const float* x, const float* weight, float epsilon, float* out, uint32_t width) {
    x += (uint64_t)blockIdx.x * width;
    out += (uint64_t)blockIdx.x * width;
    float sum = 0.0f;
    for (uint32_t at = threadIdx.x; at < width; at += 256) sum += x[at] * x[at];
    float scale = 1.0f / sqrtf(together<false>(sum) / width + epsilon);
    for (uint32_t at = threadIdx.x; at < width; at += 256) out[at] = x[at] * scale * weight[at];
}

extern "C" __global__ void __launch_bounds__(256)
layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* out, uint32_t width) {
    x += (uint64_t)blockIdx.x * width;
    out += (uint64_t)blockIdx.x * width;
    float sum = 0.0f, squares = 0.0f;
    for (uint32_t at = threadIdx.x; at < width; at += 256) sum += x[at];
    float mean = together<false>(sum) / width;
    for (uint32_t at = threadIdx.x; at < width; at += 256) squares += (x[at] - mean) * (x[at] - mean);
    float scale = 1.0f / sqrtf(together<false>(squares) / width + epsilon);
    for (uint32_t at = threadIdx.x; at < width; at += 256) out[at] = (x[at] - mean) * scale * weight[at] + bias[at];
}

extern "C" __global__ void __launch_bounds__(256) softmax(float* x, uint32_t width) {
    x += (uint64_t)blockIdx.x * width;
    float most = -INFINITY, sum = 0.0f;
    for (uint32_t at = threadIdx.x; at < width; at += 256) most = fmaxf(most, x[at]);
    most = together<true>(most);
    for (uint32_t at = threadIdx.x; at < width; at += 256) sum += expf(x[at] - most);
    float scale = 1.0f / together<false>(sum);
    for (uint32_t at = threadIdx.x; at < width; at += 256) x[at] = expf(x[at] - most) * scale;
}

// Which number a thread of a flat launch has.
DEVICE uint32_t own() { return blockIdx.x * blockDim.x + threadIdx.x; }

extern "C" __global__ void swiglu(float* gate, const float* up, uint32_t count) {
    if (own() < count) gate[own()] = gate[own()] / (1.0f + expf(-gate[own()])) * up[own()];
}

// By the complement of the error function, which keeps its digits where the result is near 0.
extern "C" __global__ void gelu(float* x, uint32_t count) {
    if (own() < count) x[own()] = 0.5f * x[own()] * erfcf(-x[own()] * 0.70710678118654752f);
}

extern "C" __global__ void add(float* x, const float* y, uint32_t count) {
    if (own() < count) x[own()] += y[own()];
}

extern "C" __global__ void add_bias(float* x, const float* bias, uint32_t width, uint32_t count) {
    if (own() < count) x[own()] += bias[own() % width];
}

extern "C" __global__ void take_rows(const float* x, const uint64_t* rows, float* out, uint32_t width, uint32_t count) {
    if (own() < count) out[own()] = x[rows[own() / width] * width + own() % width];
}

// A thread for a pair; `half` pairs make a head.
extern "C" __global__ void
rope(float* x, const float* cos, const float* sin, const uint64_t* positions, uint32_t half, uint32_t pairs, uint32_t count) {
    if (own() >= count) return;
    uint64_t angle = positions[own() / pairs] * half + own() % half;
    float2* pair = (float2*)x + own();
    float2 was = *pair;
    float c = cos[angle], s = sin[angle];
    *pair = make_float2(was.x * c - was.y * s, was.x * s + was.y * c);
}
