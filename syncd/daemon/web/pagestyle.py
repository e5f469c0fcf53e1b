"""How the status page looks, by day and by night."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --line: #d7dde3; --ink: #1b2733; --soft: #55636f;
  --link: #0b5cad; --good: #1a6e3c; --bad: #b3261e; --warn: #8a5300; --idle: #9aa7b2; --bar: #2f7fc4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12181e; --panel: #1a222a; --line: #323e49; --ink: #e4eaf0; --soft: #a3b0bc;
    --link: #7cb8f2; --good: #6fd397; --bad: #ff8a80; --warn: #f2b661; --idle: #5b6873; --bar: #5aa5e6;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 84rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.25rem; padding-top: 1.1rem; padding-bottom: .9rem; }
header .brand { font-weight: 700; font-size: 1.15rem; color: var(--ink); text-decoration: none; }
header .clock { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums; }
footer { color: var(--soft); padding-top: 1rem; padding-bottom: 2rem; font-size: .9rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .4rem 0 .2rem; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
p { margin: .3rem 0 .8rem; max-width: 60rem; }
a { color: var(--link); }
a:focus-visible, input:focus-visible, button:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .4rem .8rem; z-index: 1; }
.soft { color: var(--soft); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; padding: .55rem .8rem; color: var(--soft); }
td.word { white-space: nowrap; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem; border-top: 1px solid var(--line); }
thead th { background: var(--panel); color: var(--soft); font-weight: 600; white-space: nowrap; border-top: 0; }
tbody th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
td small { display: block; color: var(--soft); font-size: .85rem; }
.key { overflow-wrap: anywhere; font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85rem; }
tr.why td { border-top: 0; padding-top: 0; padding-bottom: .7rem; }
.badge { display: inline-block; white-space: nowrap; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; font-weight: 600; }
.badge.good { color: var(--good); } .badge.bad { color: var(--bad); } .badge.warn { color: var(--warn); } .badge.none { color: var(--soft); }
ul.why { margin: 0; padding-left: 1.1rem; overflow-wrap: anywhere; max-width: calc(100vw - 12rem); }
ul.why li { margin: .15rem 0; }
.remedy { color: var(--soft); }
td small { overflow-wrap: anywhere; }
.notice { border: 1px solid var(--line); border-left: .35rem solid var(--bad); border-radius: .4rem; background: var(--panel); padding: .6rem .9rem; margin: .8rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .6rem; margin: 1rem 0; }
dl div { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
dd small { display: block; font-weight: 400; color: var(--soft); }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .8rem 0; }
input, button { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--idle); border-radius: .4rem; padding: .3rem .6rem; }
button { background: var(--panel); cursor: pointer; }
nav.pages { display: flex; gap: 1rem; margin: .8rem 0; }
svg.sparkline { display: block; }
svg .copied { fill: var(--bar); } svg .idle { fill: var(--idle); } svg .failed { fill: var(--bad); }
@media (max-width: 40rem) { header .clock { margin-left: 0; } th, td { padding: .4rem .5rem; } }
"""
