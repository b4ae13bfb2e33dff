# costs.awk: draws the table of costs.sh as SVG: a column of two panels per sweep, bytes/s above and MiB below,
# both axes logarithmic. Input lines: sweep, value, measure, number.

BEGIN { FS = "\t" }
{
    sweep = $1 == "window" ? "context" : $1
    measure = $3 ($1 == "window" ? ", window" : "")
    if (!(sweep in column)) { column[sweep] = ++columns; title[columns] = sweep }
    c = column[sweep]
    row = $3 ~ /memory$/ ? 2 : 1
    k = c SUBSEP row
    if (!((k, measure) in line)) { line[k, measure] = ++lines[k]; label[k, lines[k]] = measure }
    l = line[k, measure]
    n = ++points[k, l]
    x[k, l, n] = log($2) / log(2)
    y[k, l, n] = log($4) / log(10)
    if (!(c in low_x) || x[k, l, n] < low_x[c]) low_x[c] = x[k, l, n]
    if (!(c in high_x) || x[k, l, n] > high_x[c]) high_x[c] = x[k, l, n]
    if (!(row in low_y) || y[k, l, n] < low_y[row]) low_y[row] = y[k, l, n]
    if (!(row in high_y) || y[k, l, n] > high_y[row]) high_y[row] = y[k, l, n]
}

function amount(v) {
    return v >= 1048576 ? v / 1048576 "M" : v >= 1024 && v % 1024 == 0 ? v / 1024 "K" : v
}

function text(px, py, anchor, ink, what) {
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", px, py, anchor, ink, what
}

END {
    split("#1f77b4 #d62728 #2ca02c #9467bd #ff7f0e #17becf #8c564b #e377c2 #7f7f7f #bcbd22", color, " ")
    width = 300; height = 250
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", columns * width + 20, 2 * height + 20
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    for (c = 1; c <= columns; c++) {
        for (row = 1; row <= 2; row++) {
            k = c SUBSEP row
            x0 = (c - 1) * width + 46; x1 = c * width - 16
            y0 = (row - 1) * height + 28; y1 = row * height - 34
            from = int(low_y[row] + 100) - 100; to = int(high_y[row] + 101) - 100
            spread = high_x[c] > low_x[c] ? high_x[c] - low_x[c] : 1
            text(x0, y0 - 8, "start", "black", (row == 1 ? "bytes/s" : "MiB") " against " title[c])
            for (v = from; v <= to; v++) {
                at = y1 - (v - from) / (to - from) * (y1 - y0)
                printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", x0, x1, at, at
                text(x0 - 4, at + 4, "end", "black", "10<tspan dy=\"-4\" font-size=\"8\">" v "</tspan>")
            }
            for (l = 1; l <= lines[k]; l++) {
                ink = color[l % 10 + 1]
                printf "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", ink
                for (i = 1; i <= points[k, l]; i++)
                    printf "%.1f,%.1f ", x0 + (x[k, l, i] - low_x[c]) / spread * (x1 - x0), y1 - (y[k, l, i] - from) / (to - from) * (y1 - y0)
                print "\"/>"
                for (i = 1; i <= points[k, l]; i++) {
                    px = x0 + (x[k, l, i] - low_x[c]) / spread * (x1 - x0)
                    printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"%s\"/>\n", px, y1 - (y[k, l, i] - from) / (to - from) * (y1 - y0), ink
                    if (!((c, row, x[k, l, i]) in ticked)) {
                        ticked[c, row, x[k, l, i]] = 1
                        text(px, y1 + 14, "middle", "black", amount(int(exp(x[k, l, i] * log(2)) + 0.5)))
                    }
                }
                text(x1, y1 - 6 - 12 * (lines[k] - l), "end", ink, label[k, l])
            }
        }
    }
    print "</svg>"
}
