// common.glsl: which part of the work an invocation or a workgroup does. Grids are two-dimensional
// because one dimension may be too short. To be included
// after the size of the workgroup is declared.
uint element() {
    return (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * gl_WorkGroupSize.x +
           gl_LocalInvocationID.x;
}

uint group() {
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}
