/* vulkan_backend.h: the backend that runs graphs as compute shaders.
 *
 * Results are close to those of the CPU backend, not equal to the bit: fused multiply-adds are not
 * promised by the language of shaders, and sums run in other orders. Graphs in the arithmetic of
 * integers are made of sums, products and bits alone and have the CPU's. The same device gives the
 * same bits every time: no atomics on floats, every sum in a fixed order. An op without a row here
 * is refused by name when a graph is compiled; nothing is ever computed elsewhere. */
#ifndef VULKAN_VULKAN_BACKEND_H
#define VULKAN_VULKAN_BACKEND_H

#include "graph/backend.h"

/* A device as the driver describes it. */
typedef struct vulkan_description {
    int index; /* what vulkan:N names */
    char name[256], driver[128];
    uint64_t memory_bytes; /* of its largest device-local heap */
    int is_software;       /* runs on the processor: never chosen by itself */
    int is_integrated;     /* shares the processor's memory */
    uint32_t subgroup;     /* invocations that run in step */
    int has_float16, has_int8_dot, has_cooperative_matrix;
    char lacks[96]; /* what octet needs and the device has not, "" if nothing */
} vulkan_description;

/* Writes up to `capacity` descriptions and their number, in the driver's order. OCTET_ERROR: there
 * is no loader or no driver, or this build has no Vulkan; the text says which. */
octet_status vulkan_devices(vulkan_description *out, int capacity, int *n, octet_error *error);

/* index -1: the best device that is no software: a discrete one before an integrated one, then the
 * one with most memory. OCTET_ERROR with the reason when there is none. */
octet_status vulkan_backend_create(backend **out, int index, octet_error *error);

/* Graphs that are compiled from now on multiply large matrices by cooperative matrices: factors
 * rounded to f16, sums in f32. OCTET_ERROR: the device has none. */
octet_status vulkan_backend_use_half(backend *b, octet_error *error);

/* The number that vulkan:N gives it. */
int vulkan_backend_index(const backend *b);

/* The device's name; how many nodes it has run, and in how many dispatches, since it was made. */
const char *vulkan_backend_device(const backend *b);

typedef struct vulkan_counts {
    int64_t nodes, dispatches, submissions;
} vulkan_counts;

vulkan_counts vulkan_backend_counts(const backend *b);

#endif
