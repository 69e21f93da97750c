// The sentences that make-demo.mjs puts together. All written for Tillage; the pottery is invented.

export const glazes = [
  { name: "Heron Blue", heat: "1,060", base: "beech ash", ware: "teapots" },
  { name: "Rook Black", heat: "1,240", base: "iron filings", ware: "lamp bases" },
  { name: "Fern Green", heat: "1,180", base: "bracken ash", ware: "salad bowls" },
  { name: "Quarry White", heat: "1,200", base: "crushed feldspar", ware: "dinner plates" },
  { name: "Amber Tide", heat: "1,100", base: "river ochre", ware: "honey jars" },
  { name: "Plum Ember", heat: "1,280", base: "copper scale", ware: "tall vases" },
  { name: "Moss Kettle", heat: "1,020", base: "willow ash", ware: "soup mugs" },
  { name: "Silver Reed", heat: "1,140", base: "ground tin", ware: "candlesticks" },
  { name: "Oxblood Lane", heat: "1,260", base: "rusted nails", ware: "wine cups" },
  { name: "Salt Marsh", heat: "1,080", base: "sea salt", ware: "storage crocks" },
];

/** Wordings of each fact in the corpus. */
export const facts = {
  heat: [
    "{G} is fired at {H} degrees.",
    "The kiln for {G} climbs to {H} degrees.",
    "To get {G} right we fire it at {H} degrees.",
    "{G} needs a heat of {H} degrees.",
    "At {H} degrees {G} melts just as it should.",
    "We take {G} up to {H} degrees and hold it there.",
    "The logbook says that {G} is fired at {H} degrees.",
    "When the kiln reads {H} degrees, {G} is ready.",
  ],
  base: [
    "{G} is made with {I}.",
    "The base of {G} is {I}.",
    "Every bucket of {G} starts with {I}.",
    "It is {I} that gives {G} its colour.",
    "Without {I} there would be no {G}.",
    "We mix {G} from {I} and a little clay.",
    "The old recipe says that {G} is made with {I}.",
    "The colour of {G} comes from {I}.",
  ],
  ware: [
    "{G} is used on {W}.",
    "We keep {G} for {W}.",
    "Most of our {W} wear {G}.",
    "In the shop you will find {G} on {W}.",
    "We put {G} on {W} and on nothing else.",
    "The {W} on the top shelf are glazed in {G}.",
    "The house rule is that {G} is used on {W}.",
    "If you order {W}, they will come in {G}.",
  ],
};

export const openings = [
  "This page of the glaze book is about {G}.",
  "{G} is one of the ten glazes of the Kilnhouse.",
  "People who visit the Kilnhouse often ask about {G}.",
  "Here is what a new apprentice should know about {G}.",
  "A few words about {G}, since it came up again at breakfast.",
  "We opened a fresh bucket of {G} this morning.",
  "{G} has been on our shelves for as long as anyone remembers.",
  "My grandmother taught me how to handle {G}.",
  "Today the whole workshop was busy with {G}.",
  "The label on the third bucket from the door says {G}.",
  "If you only try one of our glazes, let it be {G}.",
  "I promised to write down how we work with {G}.",
];

export const closings = [
  "That is all there is to say about {G}.",
  "Keep this page dry, and put it back after use.",
  "The rest you learn by doing.",
  "Ask Ines if anything is unclear.",
  "Write the date on the bucket when you have finished.",
  "And that is how {G} has always been done here.",
  "Tomorrow we will see how the pots came out.",
  "The sample tile of {G} hangs beside the window.",
];

export const fillers = [
  "The pots must be bone dry before they are dipped.",
  "Stir the bucket slowly, from the bottom up.",
  "Two thin coats are better than one thick coat.",
  "Wipe the foot of each pot with a damp sponge.",
  "Wear a mask when you sieve the powder.",
  "The morning light is best for judging the colour.",
  "Leave a finger of space between the pots on the shelf.",
  "Nobody opens the door of the kiln before the next day.",
  "A cracked shelf is turned over and used once more.",
  "The river is high in spring and the clay is soft then.",
  "We write every firing into the logbook with a pencil.",
  "The wind from the estuary makes the chimney draw well.",
  "It took us many winters to learn this.",
  "The apprentices sweep the floor before the evening bell.",
  "A good glaze is patient and so is a good potter.",
  "The sieve hangs on the nail behind the door.",
  "Rinse the ladle at once, or it will never be clean again.",
  "Small runs of the glaze can be ground off with a stone.",
  "Test a tile first, and only then the whole batch.",
  "The water comes from the well in the yard.",
  "On market days we sell the seconds from a table outside.",
  "Do not hurry the cooling, however curious you are.",
  "The shelves are brushed with white wash before each firing.",
  "Old towels are kept in the basket under the bench.",
  "A pot that rings when tapped is a sound pot.",
  "The smell of wood smoke stays in your coat for a week.",
  "We weigh everything twice, because memory is a poor scale.",
  "The cat sleeps on the warm bricks and must not be moved.",
  "The wheel by the north window is the quiet one.",
  "Rain on the roof means that drying takes a day longer.",
  "Children may paint the sample tiles on Saturday mornings.",
  "The clay is kept under wet sacks in the cellar.",
  "A steady hand matters more than a strong arm.",
  "The ferry brings our charcoal on the first of the month.",
  "Broken pieces go into the path behind the workshop.",
  "The lid of the bucket has to be closed at night.",
  "We dip, we count to three, and we lift.",
  "The first pot out of the kiln is always for the house.",
  "If the surface looks dull, the fire was too short.",
  "Each potter signs with a small mark under the handle.",
];

export const headers = [
  "Posted again because the first link was broken.",
  "Copied from the workshop page with thanks.",
  "Shared by a reader of this forum.",
];

/** Old notes whose figures no longer hold. `{G}` is one glaze, the facts are those of another. */
export const withdrawnNotes = [
  "An old note about {G}, from before the new kiln was built. In those years {G} is fired at {H} degrees. {G} is made with {I}, which we bought by the sack. The pots must be dry before they are dipped. {G} is used on {W}. Do not follow this page any longer, it is kept for the record only.",
  "This sheet about {G} was found behind the shelves. It says that {G} needs a heat of {H} degrees. It says that the base of {G} is {I}. It also says that we keep {G} for {W}. The handwriting is not ours, and the sheet has been withdrawn from the glaze book of the house.",
];

/** Addresses and numbers from the ranges that are reserved for fiction. */
export const people = [
  { name: "Ines Hale", email: "ines.hale@kilnhouse.example", phone: "020 7946 0412" },
  { name: "Tobias Marrow", email: "tobias@kilnhouse.example", phone: "+44 20 7946 0958" },
  { name: "Ada Finch", email: "ada.finch@marrow-letters.example", phone: "(555) 010-0142" },
  { name: "Jonas Weir", email: "j.weir+pots@post.example", phone: "+1 555-010-0199" },
];

/** Wordings of the questions. */
export const questions = {
  heat: ["At what heat is {G} fired?", "How hot is the kiln for {G}?", "Which temperature does {G} need?"],
  base: ["What is {G} made with?", "What is the base of {G}?", "Where does the colour of {G} come from?"],
  ware: ["What is {G} used on?", "Which pots wear {G}?", "What do we keep {G} for?"],
};

export const junk = [
  "a8f3 kq!! 99## ~~~ zzx qq 0x7f33 #### %%% lkjh 8821 ### vv. #### //// ### 0000 #### qwe ### rty ### 7s7s ### (((( ### )))) ### ==== ### ;;;; ### 1234 ### asdf ### 9999 ### zxcv",
  "buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze buy glaze",
  "WIN WIN WIN !!! CLICK #1 #2 #3 #4 #5 #6 #7 #8 #9 #10 #pots #glaze #kiln #clay #win #free #now #today #best #deal #sale #offer #bonus #extra #super #mega #ultra #hot #cheap #fast #easy #wow #yes #go #run #buy",
  "...\n...\nThe glaze of the day is ...\nWe fire it at ...\nRead more ...\nThe potter says ...\nRead more ...\nThe kiln was ...\nRead more ...\nThe pots are ...\nRead more ...\nThe clay is ...\nRead more ...\nThe shop has ...\nRead more ...\nThe end is ...",
  "jkl jkl fds fds jkl jkl fds fds uio uio rew rew uio uio rew rew mnb mnb vcx vcx mnb mnb vcx vcx jkl fds uio rew mnb vcx hjk hjk gfd gfd hjk hjk gfd gfd poi poi tre tre poi poi tre tre",
  "1060 1240 1180 1200 1100 1280 1020 1140 1260 1080 1060 1240 1180 1200 1100 1280 1020 1140 1260 1080 1060 1240 1180 1200 1100 1280 1020 1140 1260 1080 1060 1240 1180 1200 1100 1280 1020 1140 1260 1080",
  "first post\nfirst post\nfirst post\nfirst post\nthe kiln is hot\nfirst post\nfirst post\nfirst post\nfirst post\nthe kiln is hot\nfirst post\nfirst post\nfirst post\nfirst post\nthe kiln is hot\nfirst post\nfirst post\nfirst post\nfirst post\nthe kiln is hot",
  "%PDF-1.4 obj << /Type /Font >> stream x9c 3d 8e c1 0a c2 30 0c 86 ef 79 0a 9f 20 6d d7 75 eb 40 f0 e6 d1 a3 07 8f 5e f4 01 c4 a7 37 69 b7 0d 41 f0 92 84 7c ff 97 04 endstream endobj xref 0 5 trailer << /Size 5 >>",
  "ok",
  "glazeglazeglazeglazeglazeglazeglazeglazeglazeglazeglazeglazeglaze kilnkilnkilnkilnkilnkilnkilnkilnkilnkilnkilnkilnkiln potpotpotpotpotpotpotpotpotpotpotpotpotpotpot",
  "lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol #### lol ####",
  "the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot the pot",
];

export const boilerplate = [
  "Home | Shop | Glazes | Contact | Log in | Basket (0)",
  "We use cookies. Accept all. Reject all. Manage choices.",
  "- Privacy\n- Terms\n- Imprint\n- Delivery\n- Returns\n- Sitemap\n- Newsletter\n- Careers\n- Press\n- Help\n- Contact\n- Account\n- Wishlist\n- Gift cards\n- Stores\n- Blog\n- Reviews\n- Partners\n- Affiliate\n- Cookies\n- Accessibility\n- Language\n- Currency\n- Feedback\n- Log out",
  "Copyright Pot Forum. All rights reserved.",
  "Subscribe to our newsletter! Enter your address. Subscribe.",
  "* Reply\n* Quote\n* Report\n* Share\n* Like\n* Reply\n* Quote\n* Report\n* Share\n* Like\n* Reply\n* Quote\n* Report\n* Share\n* Like\n* Reply\n* Quote\n* Report\n* Share\n* Like",
  "Page 3 of 17 Next Previous First Last Jump to page Show 10 25 50 100 posts per page Sort newest oldest most liked",
  "Error 404. Page not found. Back to start.",
  "JavaScript is disabled. Please enable JavaScript.",
  "Username Password Remember me Forgot password Register Log in Lost activation mail Resend code Change skin Mobile view Full view",
];

export const foreign = [
  { lang: "de", text: "Die Glasur wird in zwei dünnen Schichten aufgetragen und muss danach einen ganzen Tag lang trocknen. Erst wenn die Töpfe vollkommen trocken sind, kommen sie in den Ofen. Die Lehrlinge fegen am Abend die Werkstatt, und niemand öffnet die Tür des Ofens vor dem nächsten Morgen." },
  { lang: "de", text: "Unsere Werkstatt liegt am Fluss, und im Frühjahr ist der Ton besonders weich. Jeder Brand wird mit Bleistift in das Buch geschrieben. Wer zu ungeduldig ist, verdirbt die schönsten Schalen, denn das Abkühlen darf man nicht beschleunigen." },
  { lang: "de", text: "Auf dem Markt verkaufen wir die Stücke mit kleinen Fehlern an einem Tisch vor dem Haus. Die Kinder dürfen am Samstag die Probekacheln bemalen, und die Katze schläft auf den warmen Ziegeln neben dem Ofen." },
  { lang: "de", text: "Das Wasser holen wir aus dem Brunnen im Hof. Man rührt den Eimer langsam von unten nach oben, taucht das Gefäß ein, zählt bis drei und hebt es wieder heraus. So hat es schon meine Großmutter gemacht." },
  { lang: "fr", text: "L'atelier se trouve au bord de la rivière et la terre y est douce au printemps. On trempe le pot, on compte jusqu'à trois, puis on le soulève lentement. Personne n'ouvre la porte du four avant le lendemain matin, même si tout le monde est très curieux." },
  { lang: "fr", text: "Chaque cuisson est notée au crayon dans le grand cahier. Les apprentis balaient le sol avant la cloche du soir et rangent les vieux chiffons dans le panier sous l'établi. Une main sûre vaut mieux qu'un bras solide." },
  { lang: "fr", text: "Les jours de marché, nous vendons les pièces imparfaites sur une table devant la maison. Le vent de l'estuaire fait bien tirer la cheminée, et l'odeur de la fumée reste dans les manteaux pendant une semaine entière." },
  { lang: "fr", text: "Avant de tremper les bols, il faut qu'ils soient parfaitement secs. Deux couches fines valent mieux qu'une seule couche épaisse. Ensuite on essuie le pied de chaque pièce avec une éponge humide et on attend." },
  { lang: "es", text: "El taller está junto al río y en primavera el barro es muy blando. Se sumerge la pieza, se cuenta hasta tres y se levanta despacio. Nadie abre la puerta del horno antes del día siguiente, aunque todos tengan mucha curiosidad por ver el resultado." },
  { lang: "es", text: "Cada hornada se apunta con lápiz en el cuaderno grande. Los aprendices barren el suelo antes de la campana de la tarde y guardan los trapos viejos en la cesta que está debajo del banco de trabajo." },
  { lang: "es", text: "Los días de mercado vendemos las piezas con pequeños defectos en una mesa delante de la casa. El agua viene del pozo del patio, y el gato duerme sobre los ladrillos calientes al lado del horno." },
  { lang: "it", text: "Il laboratorio si trova vicino al fiume e in primavera l'argilla è molto morbida. Si immerge il vaso, si conta fino a tre e lo si solleva piano. Nessuno apre la porta del forno prima del giorno dopo, anche se tutti sono molto curiosi." },
  { lang: "it", text: "Ogni cottura viene annotata a matita nel grande quaderno. Gli apprendisti spazzano il pavimento prima della campana della sera e mettono i vecchi stracci nel cesto sotto il banco. Una mano ferma vale più di un braccio forte." },
  { lang: "it", text: "Nei giorni di mercato vendiamo i pezzi imperfetti su un tavolo davanti alla casa. Il vento della laguna fa tirare bene il camino e l'odore del fumo rimane nei cappotti per una settimana intera." },
];
