# gpu.awk: the parts of gpu.sh (figure, column, value) as one table, in TSV: figure, unit, octet, PyTorch eager and compiled,
# octet's share of the peak, the aim and whether it is met. The peak is the fastest product of that type that either measured.

function value(figure, column) {
    return (figure, column) in v ? sprintf("%.4g", v[figure, column]) + 0 : "-"
}

function faster(a, b) {
    return a + 0 > b + 0 ? a + 0 : b + 0
}

function row(figure, unit, share, aim, least) {
    mine = value(figure, "octet")
    if (aim != "" && mine != "-" && least != "")
        aim = aim (mine + 0 >= least + 0 ? ": met" : ": missed")
    printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", figure, unit, mine, value(figure, "eager"), value(figure, "compiled"), share, aim
}

BEGIN { FS = OFS = "\t" }
NF == 3 { v[$1, $2] = $3; known[$1] = 1 }

END {
    print "figure", "unit", "octet", "torch eager", "compiled", "of peak", "aim"
    row("matmul.f32", "TFLOP/s", "", "25", 25)
    row("matmul.half", "TFLOP/s", "", "200", 200)
    row("attention.forward.f32", "TFLOP/s", "", "100", 100)
    row("attention.backward.f32", "TFLOP/s", "", "")
    row("attention.forward.half", "TFLOP/s", "", "")
    row("attention.backward.half", "TFLOP/s", "", "")
    sizes = split(quick ? "quick" : "20m 100m 350m", size, " ")
    kinds = split("f32 half", kind, " ")
    for (i = 1; i <= sizes; i++)
        for (k = 1; k <= kinds; k++) {
            figure = "train." size[i] "." kind[k]
            peak = faster(v["matmul." kind[k], "octet"], v["matmul." kind[k], "eager"])
            share = (figure, "octet") in v && peak ? \
                sprintf("%.1f%%", 1e-10 * v[figure, "octet"] * v["flops." size[i], "octet"] / peak) : ""
            compiled = value(figure, "compiled")
            row(figure, "bytes/s", share, size[i] == of ? "half of compiled" : "", compiled == "-" ? "" : compiled / 2)
        }
    streams = split(quick ? "1 4" : "1 16 256", stream, " ")
    for (i = 1; i <= streams; i++) {
        figure = "generate." of "." stream[i]
        eager = value(figure, "eager")
        row(figure, "bytes/s", "", "ahead of PyTorch", eager == "-" ? "" : eager)
    }
    if ("text.bpb" in known) {
        row("text.steps", "steps", "", "")
        row("text.MB", "MB", "", "below 24: " (v["text.MB", "octet"] < 24 ? "met" : "missed"))
        row("text.bpb", "bits", "", "below the bundled: " (v["text.bpb", "octet"] < v["bundled.bpb", "octet"] ? "met" : "missed"))
        row("bundled.bpb", "bits", "", "")
    }
}
