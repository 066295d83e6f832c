export interface Place { name: string; kind: string; url: string }

/** The places that have all words of the text, the best first: exact, at the start, anywhere. */
export function ranked(places: readonly Place[], text: string): Place[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [...places];
  const rank = (place: Place): number => {
    const name = place.name.toLowerCase(), all = `${name} ${place.kind.toLowerCase()}`;
    if (!words.every((word) => all.includes(word))) return -1;
    const first = words[0]!;
    return name === first ? 3 : name.startsWith(first) ? 2 : name.includes(first) ? 1 : 0;
  };
  return places.map((place) => ({ place, rank: rank(place) })).filter((each) => each.rank >= 0)
    .sort((a, b) => b.rank - a.rank || a.place.name.length - b.place.name.length).map((each) => each.place);
}
