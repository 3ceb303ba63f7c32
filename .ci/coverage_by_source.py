"""Lines and branches of gcovr's JSON by place in the source: a body that is compiled for every instruction set and
precision is one, and has run where any of them has."""
import json, sys
from collections import defaultdict
files = json.load(open(sys.argv[1]))["files"]
tl=th=tb=tbh=0
for f in files:
    lines=defaultdict(int); br=defaultdict(lambda: defaultdict(int))
    for l in f["lines"]:
        n=l["line_number"]; lines[n]=max(lines[n],l["count"])
        for i,b in enumerate(l.get("branches",[])):
            br[(n,len(l["branches"]))][i]=max(br[(n,len(l["branches"]))][i],b["count"])
    h=sum(c>0 for c in lines.values()); nb=sum(len(v) for v in br.values()); hb=sum(c>0 for v in br.values() for c in v.values())
    tl+=len(lines); th+=h; tb+=nb; tbh+=hb
    if h<len(lines) or hb<nb: print(f'{f["file"]:38} {h}/{len(lines)} {hb}/{nb}', ",".join(str(n) for n,c in sorted(lines.items()) if not c))
print(f"lines {th}/{tl} {th/tl:.2%}  branches {tbh}/{tb} {tbh/tb:.2%}")
