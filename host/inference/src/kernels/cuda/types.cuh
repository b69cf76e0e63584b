// What every source starts with. Compiles for the host as well.
#ifdef __CUDACC_RTC__
#define DEVICE static __device__ __forceinline__
#define INFINITY __int_as_float(0x7f800000)
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#else
#define DEVICE static inline
#include <stdint.h>
#include <string.h>
#endif
