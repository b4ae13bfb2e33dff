# costs.awk: draws the table of costs.sh as SVG: a column of two panels per sweep, bytes/s above and MiB below,
# all axes logarithmic, one colour a measure; lines of the sweep "window" are dashed in the column "context".
# Input lines: sweep, value, measure, number.

BEGIN { FS = "\t" }
{
    window = $1 == "window"
    sweep = window ? "context" : $1
    row = $3 ~ /memory$/ ? 2 : 1
    measure = $3
    sub(/\.?memory$/, "", measure)
    if (!(sweep in column)) { column[sweep] = ++columns; title[columns] = sweep }
    c = column[sweep]
    if (!(measure in ink)) { ink[measure] = ++measures; name[measures] = measure }
    k = c SUBSEP row
    if (!((k, measure, window) in line)) { line[k, measure, window] = ++lines[k]; of[k, lines[k]] = measure; dashed[k, lines[k]] = window }
    l = line[k, measure, window]
    windows += window
    n = ++points[k, l]
    x[k, l, n] = log($2) / log(2)
    y[k, l, n] = log($4) / log(10)
    if (!(c in low_x) || x[k, l, n] < low_x[c]) low_x[c] = x[k, l, n]
    if (!(c in high_x) || x[k, l, n] > high_x[c]) high_x[c] = x[k, l, n]
    if (!(row in low_y) || y[k, l, n] < low_y[row]) low_y[row] = y[k, l, n]
    if (!(row in high_y) || y[k, l, n] > high_y[row]) high_y[row] = y[k, l, n]
}

function amount(v, base) {
    if (v >= base * base && v % (base * base) == 0) return v / base / base "M"
    return v >= base && v % base == 0 ? v / base (base == 1024 ? "K" : "k") : v
}

function text(px, py, anchor, what) {
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", px, py, anchor, what
}

function px_of(v) { return x0 + (v - low_x[c]) / (high_x[c] > low_x[c] ? high_x[c] - low_x[c] : 1) * (x1 - x0) }
function py_of(v) { return y1 - (v - from) / (to - from) * (y1 - y0) }

function stroke(m, w) {
    return "stroke=\"" color[(ink[m] - 1) % 6 + 1] "\" stroke-width=\"1.5\"" (w ? " stroke-dasharray=\"5 3\"" : "")
}

function panel(    v, l, i, power, digit) {
    text(x0, y0 - 8, "start", (row == 1 ? "bytes/s" : "MiB") " against " title[c])
    for (power = -1; power < 12; power++)
        for (digit = 1; digit <= 5; digit = digit == 1 ? 2 : digit == 2 ? 5 : 9) {
            v = power + log(digit) / log(10)
            if (v < from || v > to)
                continue
            printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", x0, x1, py_of(v), py_of(v)
            text(x0 - 4, py_of(v) + 4, "end", amount(int(exp(v * log(10)) + 0.5), 1000))
        }
    for (l = 1; l <= lines[k]; l++) {
        printf "<polyline fill=\"none\" %s points=\"", stroke(of[k, l], dashed[k, l])
        for (i = 1; i <= points[k, l]; i++)
            printf "%.1f,%.1f ", px_of(x[k, l, i]), py_of(y[k, l, i])
        print "\"/>"
        for (i = 1; i <= points[k, l]; i++) {
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"%s\"/>\n", px_of(x[k, l, i]), py_of(y[k, l, i]), color[(ink[of[k, l]] - 1) % 6 + 1]
            if (!((c, row, x[k, l, i]) in ticked)) {
                ticked[c, row, x[k, l, i]] = 1
                text(px_of(x[k, l, i]), y1 + 14, "middle", amount(int(exp(x[k, l, i] * log(2)) + 0.5), 1024))
            }
        }
    }
}

END {
    split("#1f77b4 #d62728 #2ca02c #ff7f0e #9467bd #8c564b", color, " ")
    width = 270; height = 230
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", columns * width + 140, 2 * height + 10
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    for (c = 1; c <= columns; c++)
        for (row = 1; row <= 2; row++) {
            k = c SUBSEP row
            x0 = (c - 1) * width + 46; x1 = c * width - 16
            y0 = (row - 1) * height + 28; y1 = row * height - 34
            from = low_y[row] - 0.1; to = high_y[row] + 0.1
            panel()
        }
    x0 = columns * width + 10
    for (i = 1; i <= measures + (windows > 0); i++) {
        m = i > measures ? "" : name[i]
        printf "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" %s/>\n", x0, x0 + 24, 18 + 16 * i, 18 + 16 * i, (m == "" ? "stroke=\"black\" stroke-width=\"1.5\" stroke-dasharray=\"5 3\"" : stroke(m, 0))
        text(x0 + 30, 22 + 16 * i, "start", m == "" ? "window 256" : m)
    }
    print "</svg>"
}
