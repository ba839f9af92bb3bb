// How long the 3,206 actions of one real C++ build ran (WebRTC M84 under ninja, 10 jobs on one
// machine), in the order of their start: facts of a recorded run, without its graph. Base 36, ms.

const recorded = `
3 2 3 3 h8 lv pz s1 3 hm o6 sh 1 i2 ru fv 3s cn cn ek ij k ca cd kh bc 1fk d0 p8 ep 7p 13 gd
w4 8j j6 e6 cp cj 6y w1 cr q 1qn 6k hj l bo g9 98 d2 ew gp hs ek ch 8c f5 1x h9 9y 1ot 11n bv
8d fm wm v6 hs fu lu jb 20 bj f5 h0 1dw t dp bw fe g1 bu g9 gr jy v la q7 sb 1ft dz vm d7 cs
1hf i6 kk bo 4i 7a 13b 94 7e du 4i 3b 2n 156 8c 1l 2e e9 ia f4 gt 3 155 j o k nj 1fn t dd qb
gl hc ls qn 1c0 3mv 5q 5l 95 f6 h1 jc hv bo m 49 r r ol gv p6 lq 2m 2r p5 s h7 f4 rb ew an 104
97 f0 14z pm 18e dj o5 1sl 111 gg l0 kw ez 3k 11 2l w 1q 8s dp dv dh cm ra b2 du c0 i9 pn cr
3k 19 ud 18 1j y x 1z 32 1h 36 46 24 2t 1d 3h w 1b 6 24 2y 2f 1z nr bm ca 10 2a 2u 3r 2e 1g 25
3u 1w 23 46 2y fh by b9 51 d 8s 8j 7g 27 ia d dm ht 9l g3 g7 aw d7 nr 5m bc 93 9 i3 dj do ch
bv cj eg 9g fy ol bp c3 a2 e0 g9 fq in fr bj pn 1m4 1k 1t gq e7 g0 vb lu e2 g2 g9 cf 1bl 1ii
12w ap h2 b3 de b6 dx 98 gd 2k ca ge tq ao 16z 15m 1d ku if 11l p w bx gw 107 84 v7 12 m4 ru
170 rs n2 br 91 5ab 2m2 1st h 4 b3 j 1i ge 2o f2 el 2b 30 2k 2c 4o 2n 13 1v 1y 1s 2u 2i 2h 1g
1f 2t 16 14 1n 16 15 26 1v 1y 1k y 1a 19 bc 24 1x 13 1n 1w 27 1b 38 1h 17 18 1c 1i 12 1k 1w 1m
1d 1m do 19 4m 15 1r 11 4f 1h 18 21 28 w 1y 1q 27 1s 18 20 1n 1u 1r 2m 1m 1s y 1t df n 1c 1p
2t 2t 1n 63 28 4m h0 1p 8d 4y 1m 11 4r 1e 1b 1b 2e y y 1g dq ay ey k7 ic 81 f4 up cd gw k2 1q
cs cz 64 es cp nd dj ac dp gs o0 m9 bn kc lh 6y 43 c2 a7 2l l9 1qc jy ct kx c8 ej s jx m0 20
bi 9e eg e2 g2 hh d3 ao av j ch pr hd p5 kq k0 zv m1 e1 5h 2f sf c2 11 oi k8 dt hn d5 cv cj pu
o7 8k ke cm 1u7 in fd k5 9c ge mv o6 9m bd fw gb mj 1i gt 6b 2k b0 9n 73 b9 mc lc he k2 l6 j
cc co 5p do 5z dl k7 gf a2 dx fx d2 al dz fa qn il kn 8g co jh l4 fn b0 dn cf 9g cn c9 kj bx
ce bk ir up bx 8r 76 b4 tn lw f4 9x lb 15 dc pm bg bh br hi d8 i6 h0 ei ce kn e6 px gi a4 9c
5k fn 1e 3y 41 dj rm am bc fk gi 3e 48 e9 ax hu cl gm dl 59 gf en bp 2j eg 9t ew 97 ai dr en
73 4a en cg c4 9s 3k a6 5v 8b cw 8u d5 ii n1 76 nq c2 hn ti 2q 25 3p 2v 2e 31 3p 1w 2z 6ic 1r
3k er 2p 31 6a 1x 5d 2z 5t 48 4u 2s 3g 40 1v 4e 4a 4g 75 1q 2c 6t 1y 1j t 19 10w g8 hk 12w l0
nw kd l2 jm v6 qq eb m3 ai 81 2a n k4 9s 7h de g3 e7 ew d6 bn gz 1qj hh ci ha fn do ag 2m eq
d4 94 1t 6y 9k 7x lg dc i2 jj gt nx 95 h6 81 z 2p 88 n wb gn gl lx yv sn sz 62 np u1 163 jo fy
c9 1c6 29 ou em nv 114 e6 xx 16v ys nc pk hk li 2w ov c0 za 111 178 rt 1fl hh n4 9p l1 q5 gm
oq fg g4 9y et ih qk jx az rx hj 11s bj 6h 9h mo hw c0 m1 j3 ci ic gz g3 gr j4 t2 gt jn o2 dm
al ib lu hg nq 1b 3o c x lw pq ut nn 4b 9l gk p8 c h fi fg n ie lw ga 19u k6 il kg 1hs tr zw
ht p3 cd 8g eh pv 1p f9 e3 17v kh 18z vi pl 5p 1s9 ya oo am kq kl tp q6 ba z8 cd 25i 1fr jc qe
pk me in o0 116 oz kq 1ue cq m3 ih 5i qy 19n hv un dy vz 8u jh 1gk fg 6d iu p5 1d7 s4 1gw 1h
35k b2 s1 1bf 124 16k lp zd kc i0 1rp 2ow w0 o9 f1 2a9 ww sp 46i 18x nd 1tv zy 2p9 1no ku 1s0
14c wd 2yw 1x4 2es nv rs 1go adk 4ib q8 ug q3 gm 1in 4w6 jm cr cz 29y f1 26w 4wm aw gq cc iu t
1sj 4b9 1ra 1a5 218 ye 23j tm 1mb 1tf n3 7h y 2s o z4 gv ab t5 n5 ax g7 q0 1wk dm r3 ip 5x bp
b4 eh d2 et at mx au 2b o6 cv jl lm b2 eh e9 o4 a3 hu 1gh gz at 181 p0 hu qv kn rd 15y qy 161
dr dt jl nb 6f vw k7 8r j4 ks ha gv n3 hd jn kq cw 60 8t k0 d3 dw ax 4l hh mu is ur v2 88 q8
l2 fw jh kv ep ch dg mm bc il bo h5 l d9 d eb c3 ne dz ly f4 ho 1z ei k j 7 j 8n o 1z q 6k 95
2k n 18 o q q t 25 m f6 bg 3m 3t el k1 dr q c5 a a5 9q it bq 12 in rt n6 2 k iy 1h c5 q d5 a1
m6 ge q 2j ul pq kt 1h p 8n sf ju rb bz u dx c 11a cj v r 64 9d 9e bm bk 2i q q 1z j 9z k h 2
f 2h 1f a e9 m m n c b 7b 7v jz bz qx k3 q al z q v jy np ff h dx ce nn ef c0 85 7r 2d w 5d 4e
4g 2p 2y 2g k 3 d 1f 2y d 23 2o 1q q 1 16 8 2 1k 2m 21 2h 2n 2v 3p 1f 2f 2f 1q 1x 5w 3z 39 3e
2i 3c 21 4l 5k p 7 4 m 10 v v i i i 3 4 3 2 3 3 3 4 3 4 4 25 3 3 3 3 2 4 4 5 5 6 5 2x 3 7 25 b
b b j 5 j k h 2e 3 3 6 2d 3 d 2 d d 7 g 4 2 6 2 5 5 2 4 8 8 3 2 2 5 4 2 4 6 2 5 8 2 3 3 4 3 6
7 6 6 7 7 6 2 8 5 4 5 6 6 7 3 5 6 7 4 5 6 7 6 6 6 2v 4 2 17 4 4 5 5 6 2 6 k 1o 3 5 4 3 b 4 18
2k 4k 2r o o e f s d i h 5 b 8 b 8 h i h d d w 3 3 4 4 4 4 4 8 b 1u 2g 68 5z 1j 2 2w 39 3 25
33 2u 2s 54 3u 3s 1h 4f 4w 3k 71 1q 1o 21 14 28 12 1n 3s 1d 2r 3l 1c 4z 3i 2o 3n 1j 2d 1v 5r
2w 3q 2x 4a 2u 39 2i ye s6 ys s8 13l ht 1ev 1a4 155 1f1 167 1co 156 15h 1cf 1o0 19o 15v 1iq
1ct 166 19o 1cz 1dl wr 11n 156 15t 106 ye 14p 1f5 11o 16u 13y 1s 34r 10m w8 15d 12h 1i1 sv 2cg
15b 1q8 10y 2m 1v 2v 2f 36 35 25 43 1a 2j 2k 2e 3j 4d 4g 4o 3t 6k 49 4a 3f 4n 4p 60 6i 4i 48
7r cm 4m 76 64 em 9o 5f 80 5v 7m 68 7o ed 6j 4l 5u 61 4v 38 7f 2x 57 3j 3d 8y 58 5i 4a 4h 3m
52 6h 4m 5f 4i 3w 48 85 8g 3u 49 5l 41 5d 5l 6f 6p 3n 43 4d 3x 3z 5b 73 6j 3g 55 3e 51 5i 5m
5u bn 4k 90 9y 2dt eq qa pb n1 n3 m9 of r7 yq 141 10e pk u8 nm pg uk 16s 1k2 1a9 13m 15t 1n9
1c1 1hp 187 11y up 15t rg 1fu q9 un vf u0 oa s4 2y 2y 2d 2a 38 2i 2o 1q 1r 23 2g 1o 1s 1o 1p
34 1h 23 1e 1z 1v 14 y h 4p t7 8 3o gb sd nv qr q1 ww 156 1ou dl 18i 1sw tr 18d 10g ob 4y 5c
26 19z 2g 4e 9r at 4h 45 fb 8j 7e 3d 53 42 dz 55 57 h3 bl 54 a1 4f 7n a4 9p 118 6o jl 77 9y 4t
9k 4n 40 61 k 24 3t 4k 4m 13 3v 1b s 7 4 8 j j o o c d 3 4 g 7 a 8 l e i9 eh 29 2f k 7 63 11 g
41 5p 2k is cr 3a bq bk 9l 9z 55 5t 7x 1y 2i 4p 1h 2i 3b 2l 5x 4f 4c 3o 5q 4q 4r 4s 4j 5a e4
70 5c 3f 1kg 3s 6a 35 6f 4n 3z 9l 3m 3h xs 2y 1kf 32 2q 60 b4 65 2o 4v 2k 2w 62 5b 36 1t 24 46
22 hd 1i 16 2p 64 2g 6d 60 t 46 5f c3 6d 4j 6q 7m 1r 4b 6n 8w 3d 5m 5x av 5x 4q 5b 5c 2v 3d 47
2m e0 4q 3p 83 2t 4s 4o 43 2j 68 14 77 3v dl a0 i1 9i bj 4r 5w 5s 2b 68 l2 43 29 3i 3k 39 1l
2y 5j 34 4l0 sj bw 52 7g rv 58 26 2t6 2y 6e 3t lb 32 13q 56 5k 6b 3b 10n 5t 6o 6b 36 5g 4d 3q
2v 53 nw m6 7w rk 1gp 74 8y 7n k8 di 8e rn d3 5j 9t 1ht py 654 1f 1c 35 2b 3f 2h 66 4m 10 3n
36 4f 3t 5b 4g 2g 51 3j 18 an 38 1i 7d 9g 4m ck 47 4f 5b 4u 2s 2s 49 3f u8 p8 3u 1ln 3h 2s 8i
4h 3x 5q 68 52 3t fh 35 5n 22 7u 7s 2y 2x 35 47 2l 1r 67 hq 2f bz 32 3a 69 r 11 1o 4q 4l 4i 1m
4x 3d 2h 5x 3m 2g 1f 27 i2 27 2p 1o 3m 35 1f 70 am 4r 27 28 2v 2w 4p 64 2r 4a 5x 3b 4h 2r 6u
9d fd 4j 3v fn 1d 7w 8b c3 bw aq dl 2g 5k gq aq 35 3b 7l 2n 3l 4b 4p 8v 6n 3g 28 9b 3l 21 2w
1l 12 3g 5i 2x 1d 7 34 bp ha 4h 5k 73 bq 3r 1k x 1w 3p 6m 87 3j 64 4m 3k fu 1r 5m ok 91 3p 67
ko 77 24 2y 8q 66 7l 2z 2y 3y 28 r 3p 4g 5m 1q hv 9q 1x 76 4r 3x 2d 4e 7n 34 2h 4g 24 90 11 gl
vl 59 8e 3b 26 3d 12 3r 5p 45 zd 2y 51 9f 6x 2wt ad 6q 2oi 6h 38i 3y 6u jz de dj 68 1gb au yg
2dq m4 5k dr 4x ba vo dm 5h 3j 52 2l 30 2i 2u a6 gv 7m 4k 5j b0 4a g2 19c yy i3 3o c2 5s pg 43
5j 29 3wx aj 4r 4r 3p 36 52 1o 81 21 2j dt 3o ai b0 9 2m 6e c1 3y 5p 44 3n 27u 3b 48 35 31 2p
6i z 7v 1c j1 on 7j 1k 2 8v ye gs bs 2n 41 bu dl bn 9r 24 45 2a 26 3o 1d fi 4i 29 3h 3v 3f g2
1nm 7c 8m 27 4m if 6c 1i u 38 1cc 3j 3r 1m 9u 5t bv 63 pp 67 5f 4u 3e 3s 1p gm 2i 2n cw 2w 5b
fl 4e 5h ki 12z 7i 87 3y 95 6j hh s in 6t 82 6c dj f9 bb 1e 98 ps 7v dl 2n 3p 3c 4m 3p bz 1z
2c 2c 1v 31 w 2f 4v 4j 5h y 42 32 35 2i 38 23 36 1q 1b 1j 57 1w 1v 1h 5x 4d a7 3o 65 o9 2o 9z
20 fp 19g 45 2u 2l 2a 1j 21 2a 2b 26 1ci 40 1co 2c 1a 7h 1s 1o d8 4d 7s 70 7j 63 146 45 a6 8j
47 52 7o 74 3r 4n 27 7j lg qc l7 1e 5w hz ej es 6e 5c 41 2o 2j 5r 3m 1q 49 4j 4c 30 29 4v 2j
5x 5o 6w 6q 94 4j 3w 8i k 7x g5 is 2p 3n 4z ap el 77 55 5a 3r 96 bs 4d n9 2k 6w 6a 1hx b7 rj
1fg v1 11b 1ib 9u 4p pe nx dl cf 65 1vu dh c9 yl td 6i 6q nt 9f gh 1h2 9i aa 5l 5h 1t 28 32 35
41 2s 2w 4r 3g 3d 3z 3t 6h 7d 5b 4o 2t 31 35 2m 2e 2r 2k 2d 31 3t 2c 6q 8g 28 2g 3k 5d 6o 57
bj 6f 7o 4t 4n 3x 25 2y 2m 1g 1z 3p 30 4d 3g 4t 4t 4i 52 35 2o 3b 2b 2o 3r 2h 1i 26 2z 24 2c
2l 22 30 35 2u 2u 2u 2r a4 31 1r 41 6f 3c f0 4u 9y 51 49 i 18 25 54 2r 39 1r 3l 2u 4t 4c 4h 2g
41 31 3x 5b 2j 33 3d 47 3a 3f 36 7d 64 46 31 2w 34 2h 2z 4b 5m 2u c2 33 7x 3w 12 f8 11 dx 21l
my 1lp 1ua 12v 17v 1a7 j 10 u 19 1b 1h 2t5 16u i 1sa 1o5 41z 1po yw h1 11b 16k 12h 15o 1aw 16u
163 11i 17u sd rx wk wi 14b 144 js km gm nt gb is e9 ie 8l k lv wn d6 fv el hp k4 oj u8 q1 1on
6it 16a 2e9 5bt y7 1rl sq 1bk 182 19d ck 13f 24w lw tx 16n gb 1ep bb w3 1yk kw 1xa cc hc m8
15x yu i0 w2 ub z1 1dt c3 o5 d7 mi t3 bt xm y3 19i tk 1e2 ua vv 1x9 u2 vh 1ag 18a 1bt bc 1m ec
rn a1 ea ek ij db kb d2 le af pa iw du d1 c0 f0 1r4 2l2 g6 ko ed 3j 3y 9f 25 25 by 1f qp n8 1i
1f 96 1l ta 18p ul 1c5 pj 12s gf tb ez cd i8 26 n ww y p rm 194 md 3t 1y 5v 7i 9a n s l i h n
3e 1j 1o 11 n 5 3x 5f 2j 2e 11 13 i m 6 57 1q 8u u 30 e 1g 15 36 1i 9 3r 2d 1l 10 32 2y 3x 9 q
5n m 3u 32 6d 1y 1s x 10 14 19 1i 2u r 2q 17 33 4r b 1f 1q aw y k 3q ek 6c 8e 3l iq bg 1e cs q
1v4 s3 s o 11 j c e 35 24 1r8 1qe o gk 4 ay j 33 44 6g 3c 72 1c 2l z 15b 2b 35 7r 4k 4i 46 2j
6q 2t 3e 39 6w 7f 18 19 5u 1y 36 4u 1b 1m 2n 4v 3v g0 1i 1j 34 21 2z 26 5k 16 2x 4m ah 76 2o
3h 3x 52 2i 3d 57 67 46 4h 2c 6h 2r 7e 24 2v 27 8e 2z sx 2s 1e 30 1q 67 ao 2f 2w h u 1a b9 10
j3 mb p0 1ia 152 1et 2n 2l x 2b q u 406 2 1 jv hs z ff v u eb 22w s br e1 16p as ls 35e p ag
un 18o s o rk i4 p4 cd ed b8 1lj p8 ek h0 bq ht 16 10 p ha 1l1 1p a x g g 2 5b 18r x6 1ta ip
1vg 1by ot h9 zw ca 3wz 3ha fn fr 1s9 h8 v 1a 1a k t 18 1d 13j u3 nr je w zo lv m 2n 2j 7i 19
29 1m 2q 1c 1v 1e 22 1p 1i 2e 14 1b a 2 16 1l 1i 3m l 20 14 j 12 m 2h g 26 1m k 1v 1g 16 15 1o
1h 1f 1i 1f 1h 1r 1p 2m 2q 14 n w 2n a a 5 4 18 s 3 9 8 g c m d d d e 7 7 8 4 7 4 4 6 5 3 5 6
h 5 2 3 6 1 a 2 5 e 19 1 38 m 3 d b e 5 6 7 7 7 u 2 7 4 b 9 z 2 4 3r 7 3ps 5e f y 6 7 6 4 2 i
8w 4z 73 77 20 10v 28 12 15 b 1o 14 1c iv 26 32 1q 1m y 5y 1j 16 1z 1b 1c 1j 1f 1h 1s i 3 1c
10 1x 1 3 1 u 1k 1n 1i 1p 1o 1x 1l rm b re 12 s i4 nj 14 m p w sl 1sc f5 t fq 1 2 3 4 3 3 1 2
2 1 1 1 4 5 4 4 1 3 3 3 2b 1 1
`;

/** The run times in ms. Together 1,496 s; the longest is 13.4 s. */
export const recordedDurationsMs: readonly number[] = recorded
  .trim()
  .split(/\s+/)
  .map((word) => Number.parseInt(word, 36));
