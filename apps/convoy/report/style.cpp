#include "apps/convoy/report/style.h"

namespace convoy {

// Text has a contrast of at least 4.5 on its ground, lines of charts of at least 3, in both schemes.
const std::string_view kPageStyle = R"(
:root {
  --paper: #fdfdfb; --ink: #1c1e21; --soft: #5a6067; --rule: #dcdcd6; --shade: #f3f3ef;
  --good: 38, 98, 160; --bad: 190, 84, 20;
  --c0: #1f5f9e; --c1: #b4500f; --c2: #2c7a4b; --c3: #8a3ffc; --c4: #a1274f; --c5: #00748a; --c6: #6e6410;
  --c7: #5a6067;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --ink: #e7e7e3; --soft: #a2a8af; --rule: #34383d; --shade: #1d2024;
    --good: 110, 170, 235; --bad: 240, 150, 80;
    --c0: #7ab2ec; --c1: #f0a05a; --c2: #74c795; --c3: #c3a2ff; --c4: #f48fae; --c5: #5cc8da; --c6: #d3c65c;
    --c7: #a2a8af;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif;
  font-variant-numeric: lining-nums;
}
main { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 600; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.2rem; font-weight: 600; margin: 3rem 0 .9rem; padding-top: .8rem;
  border-top: 1px solid var(--rule);
}
h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .3rem; }
p { max-width: 42rem; margin: .4rem 0 .9rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .875rem; }
code { font: .85em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.warning { border-left: 3px solid rgb(var(--bad)); padding: .1rem 0 .1rem .8rem; overflow-wrap: anywhere; }
dl.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1.2rem 1.5rem;
  margin: 1.8rem 0 0;
}
dl.figures dt { color: var(--soft); font-size: .875rem; }
dl.figures dd { margin: 0; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums lining-nums; }
dl.figures dd small { font-size: .6em; color: var(--soft); margin-left: .15em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 2rem 1.6rem; }
figure { margin: 0; min-width: 0; }
svg.chart { display: block; width: 100%; height: auto; overflow: visible; }
svg.chart text { fill: var(--soft); font: 11px/1 system-ui, "DejaVu Sans", Arial, sans-serif; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.faint { stroke-width: 1; opacity: .75; }
.line.dashed { stroke-dasharray: 5 4; }
.c0 { stroke: var(--c0); color: var(--c0); } .c1 { stroke: var(--c1); color: var(--c1); }
.c2 { stroke: var(--c2); color: var(--c2); } .c3 { stroke: var(--c3); color: var(--c3); }
.c4 { stroke: var(--c4); color: var(--c4); } .c5 { stroke: var(--c5); color: var(--c5); }
.c6 { stroke: var(--c6); color: var(--c6); } .c7 { stroke: var(--c7); color: var(--c7); }
circle { fill: currentColor; stroke: none; }
ul.legend { list-style: none; margin: .3rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .875rem; color: var(--soft); }
ul.legend svg { width: 1.5rem; height: .5rem; margin-right: .4rem; vertical-align: middle; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem .9rem; list-style: none; margin: 0; padding: 0; }
.tiles img { display: block; max-width: 100%; height: auto; margin-bottom: .3rem; image-rendering: pixelated; border: 1px solid var(--rule); border-radius: 2px; background: #000; }
.tiles li { font-size: .8125rem; line-height: 1.35; color: var(--soft); }
.tiles.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.3rem, 1fr)); }
.mistakes li { overflow-wrap: anywhere; }
.mistakes b { color: var(--ink); font-weight: 600; }
.filters { gap: .4rem; }
.filters img { margin: 0; }
.pair { display: grid; grid-template-columns: minmax(0, auto) minmax(0, auto); justify-content: start; gap: 1.5rem 4.5rem; align-items: start; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums lining-nums; }
caption { text-align: left; padding-bottom: .5rem; }
caption span { display: block; position: sticky; left: 0; max-width: min(42rem, calc(100vw - 2rem)); }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: baseline; }
th:first-child { padding-left: 0; }
th { font-weight: 400; }
thead th { color: var(--soft); vertical-align: bottom; }
tbody th, thead th:first-child { position: sticky; left: 0; background: var(--paper); }
th code { white-space: nowrap; }
.wrap td { overflow-wrap: anywhere; min-width: 7rem; }
.number { text-align: right; }
table.confusion { table-layout: fixed; }
table.confusion th, table.confusion td { padding: .4rem .3rem; min-width: 2.7rem; border: 0; text-align: center; }
table.confusion td { border: 1px solid var(--paper); }
table.confusion thead th { position: static; }
table.confusion thead th.long { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .3rem; vertical-align: middle; }
table.confusion tbody th { text-align: right; white-space: nowrap; padding-right: .6rem; }
td.right { background: rgba(var(--good), .16); }
.bars { white-space: nowrap; --widest: 11rem; }
.bar { display: inline-block; height: .55rem; width: calc(var(--part) * var(--widest)); background: var(--c0); vertical-align: baseline; }
.bar.back { background: var(--c1); }
.bar.swatch { width: .55rem; margin-left: .3rem; }
img.heat { image-rendering: pixelated; max-width: 100%; height: auto; border: 1px solid var(--rule); }
details { margin-top: 1.2rem; }
summary { cursor: pointer; color: var(--soft); }
@media (max-width: 52rem) {
  main { padding: 1.4rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  h2 { margin-top: 2.2rem; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  dl.figures { grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1rem; }
  table.confusion { font-size: .75rem; }
  table.confusion th, table.confusion td { padding: .25rem .1rem; min-width: 1.85rem; }
  th, td { padding: .25rem .45rem; }
  .bars { --widest: 5rem; }
}
@media print { main { max-width: none; padding: 0; } details { display: none; } }
)";

}  // namespace convoy
