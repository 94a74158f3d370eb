package config

// suggest returns the known name that got was probably meant to be, "" if none is near: one typing mistake for each four
// letters, and one in shorter names.
func suggest(got string, known []string) string {
	const longest = 64
	if len(got) > longest {
		return ""
	}
	best, limit := "", max(1, len(got)/4)+1
	for _, name := range known {
		if d := distance(got, name); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b ("optimal string
// alignment").
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := above[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
