// Values out of ggml's block layouts, eight at a time: the device's twin of `gguf/encoding.rs`.
//
// Every quantised block has an even number of bytes, so two at a time are always aligned. Compiles for the host as well,
// where a test holds it against the decoders in Rust.
#ifdef __CUDACC_RTC__
DEVICE float float_from_bits(uint32_t bits) { return __uint_as_float(bits); }
#else
DEVICE float float_from_bits(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
#endif

// The order of `Encoding` in Rust.
enum { F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K };

DEVICE uint32_t word_at(const uint8_t* bytes) { return *(const uint16_t*)bytes; }
DEVICE uint32_t long_at(const uint8_t* bytes) { return word_at(bytes) | word_at(bytes + 2) << 16; }
DEVICE uint64_t eight_at(const uint8_t* bytes) { return long_at(bytes) | (uint64_t)long_at(bytes + 4) << 32; }
DEVICE uint32_t byte_of(uint64_t eight, uint32_t at) { return (uint32_t)(eight >> (8 * at)) & 255; }

// IEEE 754's 16 bits: numbers by moving the fields, subnormal ones by a product that is exact.
DEVICE float half_value(uint32_t bits) {
    uint32_t sign = (bits & 0x8000) << 16, rest = bits & 0x7fff;
    if (rest >= 0x7c00) return float_from_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest < 0x400) return float_from_bits(sign | 0x3f800000) * ((float)rest * 5.9604644775390625e-8f);
    return float_from_bits(sign | ((rest << 13) + 0x38000000));
}
DEVICE float half_at(const uint8_t* bytes) { return half_value(word_at(bytes)); }

template <int E> struct Layout {
    static const uint32_t values = E <= BF16 ? 1 : E <= Q8_0 ? 32 : 256;
    static const uint32_t bytes = E == F32 ? 4 : E <= BF16 ? 2 : E == Q4_0 ? 18 : E == Q4_1 ? 20 : E == Q5_0 ? 22
        : E == Q5_1 ? 24 : E == Q8_0 ? 34 : E == Q4_K ? 144 : E == Q5_K ? 176 : 210;
};

// Bytes of a row of `columns` values.
template <int E> DEVICE uint64_t row_bytes(uint32_t columns) {
    return (uint64_t)columns / Layout<E>::values * Layout<E>::bytes;
}

// The 6-bit scale and minimum of one of the eight parts of a K block.
DEVICE void scale_and_least(const uint8_t* packed, uint32_t part, float* scale, float* least) {
    uint32_t s, m;
    if (part < 4) {
        s = packed[part] & 63;
        m = packed[part + 4] & 63;
    } else {
        s = (packed[part + 4] & 15) | (packed[part - 4] >> 6) << 4;
        m = packed[part + 4] >> 4 | (packed[part] >> 6) << 4;
    }
    *scale = (float)s;
    *least = (float)m;
}

// Values `8 * chunk` and the seven after it of a row; those at `columns` and beyond are 0. Rows of floats alone may end
// within eight.
template <int E> DEVICE void decode8(const uint8_t* row, uint32_t chunk, uint32_t columns, float* out) {
    if constexpr (E <= BF16) {
        for (uint32_t at = 0; at < 8; at++) {
            uint32_t place = chunk * 8 + at;
            if (place >= columns) out[at] = 0.0f;
            else if constexpr (E == F32) out[at] = ((const float*)row)[place];
            else if constexpr (E == F16) out[at] = half_at(row + 2 * (uint64_t)place);
            else out[at] = float_from_bits(word_at(row + 2 * (uint64_t)place) << 16);
        }
    } else if constexpr (E <= Q8_0) {
        const uint8_t* block = row + (uint64_t)(chunk / 4) * Layout<E>::bytes;
        uint32_t part = chunk % 4;
        float scale = half_at(block);
        if constexpr (E == Q8_0) {
            uint64_t quants = eight_at(block + 2 + 8 * part);
            for (uint32_t at = 0; at < 8; at++) out[at] = scale * (float)(int8_t)byte_of(quants, at);
        } else {
            const bool least = E == Q4_1 || E == Q5_1, fifth = E == Q5_0 || E == Q5_1;
            const uint32_t head = least ? 4 : 2;
            float add = least ? half_at(block + 2) : -scale * (fifth ? 16.0f : 8.0f);
            // Low nibbles are the first half of a block, high nibbles the second.
            uint64_t quants = eight_at(block + head + (fifth ? 4 : 0) + 8 * (part % 2)) >> (part / 2 * 4);
            uint32_t bits = fifth ? long_at(block + head) >> (8 * part) : 0;
            for (uint32_t at = 0; at < 8; at++) {
                uint32_t quant = (byte_of(quants, at) & 15) | (bits >> at & 1) << 4;
                out[at] = scale * (float)quant + add;
            }
        }
    } else if constexpr (E == Q6_K) {
        const uint8_t* block = row + (uint64_t)(chunk / 32) * Layout<E>::bytes;
        uint32_t first = chunk % 32 * 8, half = first / 128, quarter = first % 128 / 32, place = first % 32;
        uint64_t low = eight_at(block + half * 64 + quarter % 2 * 32 + place) >> (4 * (quarter / 2));
        uint64_t high = eight_at(block + 128 + half * 32 + place) >> (2 * quarter);
        float scale = half_at(block + 208) * (float)(int8_t)block[192 + first / 16];
        for (uint32_t at = 0; at < 8; at++) {
            uint32_t quant = (byte_of(low, at) & 15) | (byte_of(high, at) & 3) << 4;
            out[at] = scale * ((float)quant - 32.0f);
        }
    } else {
        const uint8_t* block = row + (uint64_t)(chunk / 32) * Layout<E>::bytes;
        uint32_t part = chunk % 32 / 4, place = chunk % 4 * 8;
        float scale, least;
        scale_and_least(block + 4, part, &scale, &least);
        scale *= half_at(block);
        least *= half_at(block + 2);
        uint64_t four = eight_at(block + (E == Q5_K ? 48 : 16) + part / 2 * 32 + place) >> (4 * (part % 2));
        uint64_t fifth = E == Q5_K ? eight_at(block + 16 + place) >> part : 0;
        for (uint32_t at = 0; at < 8; at++) {
            uint32_t quant = (byte_of(four, at) & 15) | (byte_of(fifth, at) & 1) << 4;
            out[at] = scale * (float)quant - least;
        }
    }
}
