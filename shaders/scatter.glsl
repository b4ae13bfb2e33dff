// scatter.glsl: the output row that an index names, or -1.
int target_of(int index, uint from_start, uint rows) {
    const int row = from_start != 0 ? -1 - index : index;
    return row >= 0 && uint(row) < rows ? row : -1;
}
