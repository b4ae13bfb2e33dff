# experiments.awk: draws the validation curves of several runs, bits per byte against minutes of training, as SVG.
#
# Input: the log.jsonl of each run, before it speed=S, the kB/s by which its bytes become minutes; its folder's name
# is its label. Runs whose names share what is before the
# last "-" followed by a number (text-1, text-2) are one panel.

function number(key,    at) {
    at = index($0, "\"" key "\": ")
    return at ? substr($0, at + length(key) + 4) + 0 : -1
}

FNR == 1 {
    n = split(FILENAME, part, "/")
    run++
    name[run] = part[n - 1]
    group = match(name[run], /-[0-9]+$/) ? substr(name[run], 1, RSTART - 1) : "all"
    if (!(group in panel_of)) {
        panel_of[group] = ++panels
        title[panels] = group
    }
    panel[run] = panel_of[group]
    seconds = 0
}
/"seconds"/ { seconds += number("bytes") / (1e3 * speed) }
/"valid_bpb"/ {
    i = ++points[run]
    x[run, i] = seconds / 60
    y[run, i] = number("valid_bpb")
    p = panel[run]
    if (x[run, i] > most_x) most_x = x[run, i]
    # The first points are far above: the axis ends where a fifth of the time is over.
    if (!(p in low) || y[run, i] < low[p]) low[p] = y[run, i]
    all_x[p, ++samples[p]] = x[run, i]
    all_y[p, samples[p]] = y[run, i]
}

END {
    split("#1f77b4 #d62728 #2ca02c #9467bd #ff7f0e #17becf #8c564b #e377c2 #7f7f7f #bcbd22", color, " ")
    ticks = split("0.01 0.02 0.05 0.1 0.2 0.5 1", tick, " ")
    width = 420; height = 300; left = 48; bottom = 34; top = 28
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", panels * (width + 130), height + 20
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    if (most_x <= 0) most_x = 1
    for (p = 1; p <= panels; p++) {
        high = low[p]
        for (i = 1; i <= samples[p]; i++)
            if (all_x[p, i] >= most_x / 5 && all_y[p, i] > high) high = all_y[p, i]
        if (high - low[p] < 0.01) high = low[p] + 0.01
        x0 = (p - 1) * (width + 130) + left; x1 = x0 + width - left - 10
        y0 = top; y1 = height - bottom
        printf "<text x=\"%d\" y=\"16\" font-size=\"13\">%s</text>\n", x0, title[p] == "all" ? "bits per byte" : title[p] ", bits per byte"
        for (i = 1; i < ticks && (high - low[p]) / tick[i] > 8; i++)
            ;
        step = tick[i]
        for (v = int(low[p] / step + 0.999) * step; v <= high; v += step) {
            at = y1 - (v - low[p]) / (high - low[p]) * (y1 - y0)
            printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.2f</text>\n", x0, x1, at, at, x0 - 4, at + 4, v
        }
        for (v = 0; v <= most_x; v += most_x > 5 ? 2 : 1)
            printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x0 + v / most_x * (x1 - x0), y1 + 14, v
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">minutes</text>\n", (x0 + x1) / 2, y1 + 28
        printf "<clipPath id=\"panel%d\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n", p, x0, y0, x1 - x0, y1 - y0 + 2
        k = 0
        for (r = 1; r <= run; r++) {
            if (panel[r] != p || points[r] == 0) continue
            ink = color[k++ % 10 + 1]
            printf "<polyline clip-path=\"url(#panel%d)\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"%s points=\"", p, ink, (k > 10 ? " stroke-dasharray=\"4 2\"" : "")
            for (i = 1; i <= points[r]; i++)
                printf "%.1f,%.1f ", x0 + x[r, i] / most_x * (x1 - x0), y1 - (y[r, i] - low[p]) / (high - low[p]) * (y1 - y0)
            print "\"/>"
            printf "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s %.3f</text>\n", x1 + 6, y0 + 12 * k, ink, name[r], y[r, points[r]]
        }
    }
    print "</svg>"
}
