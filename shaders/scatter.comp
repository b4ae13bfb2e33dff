#version 450
// y[n,C]: an output row adds the rows of dy[..,C] whose indices name it, in the order of the indices. An
// invocation walks the row's range of indices for one column.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 64) in;
#include "common.glsl"
#include "scatter.glsl"
layout(std430, binding = 0) readonly buffer DY { float dy[]; };
layout(std430, binding = 1) readonly buffer Index { int index[]; };
layout(std430, binding = 2) readonly buffer Range { uint range[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint columns, rows, from_start, each; };

void main() {
    const uint parts = (columns + 63) / 64, unit = group();
    const uint row = unit / parts, column = unit % parts * 64 + gl_LocalInvocationID.x;
    if (row >= rows || column >= columns)
        return;
    float sum = 0.0;
    for (uint i = range[2 * row]; i < range[2 * row + 1]; i++)
        if (target_of(index[i], from_start, rows) == int(row))
            sum += dy[i / each * columns + column];
    y[row * columns + column] = sum;
}
