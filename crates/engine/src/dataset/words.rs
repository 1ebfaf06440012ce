//! The built-in vocabulary: common English words by word class.
//!
//! Every word with its leading space is exactly one token of `o200k_base` and of `cl100k_base`, and so
//! is every word of [`OPENERS`], [`PRONOUN_OPENERS`] and [`ADVERB_OPENERS`] without one. A test of
//! [`super::prose`] proves it. Each table begins with a space and separates its words by one space, so
//! that a slice of the table is a word with its leading space.

/// Singular determiners that fit before any noun, with any first sound.
pub(super) const DETERMINERS: &str = concat!(
    " the the the the the this that each every another our my your his her their its one",
    " no any some"
);

/// The same, as first word of a sentence.
pub(super) const OPENERS: &str =
    " The The The The This That Each Every Another Our My Your His Her Their One No Any Some";

/// Subjects of one word.
pub(super) const PRONOUNS: &str = " he she they we you it everyone nobody somebody";

/// The same, as first word of a sentence.
pub(super) const PRONOUN_OPENERS: &str = " He She They We You It Everyone Nobody";

/// Words that open a sentence and are followed by a comma.
pub(super) const ADVERB_OPENERS: &str = concat!(
    " Then Later Today Tomorrow Yesterday Sometimes Perhaps Soon Finally Once Again Often Still",
    " Meanwhile However Therefore Instead Usually Eventually Fortunately Unfortunately",
    " Generally Actually Maybe Clearly Overall Initially Previously Recently Similarly"
);

/// Numbers before a plural.
pub(super) const NUMBERS: &str = concat!(
    " two three four five six seven eight nine ten twelve twenty thirty forty fifty hundred thousand",
    " many several few both all most these those such enough various numerous"
);

/// Adjectives.
pub(super) const ADJECTIVES: &str = concat!(
    " old new small large big great little long short high low early late young good bad best better",
    " strong weak heavy light dark bright clear quiet loud soft hard warm cold hot cool dry wet fresh",
    " clean dirty empty full open closed broken simple complex easy difficult quick slow fast safe",
    " dangerous careful careless honest gentle kind cruel brave proud humble calm angry happy sad",
    " lonely friendly famous common rare strange familiar foreign local distant near deep shallow",
    " wide narrow thick thin round flat square sharp smooth rough plain pretty beautiful ugly lovely",
    " red blue green yellow white black brown grey purple orange pink golden silver wooden stone",
    " iron steel glass paper plastic rich poor cheap expensive free busy idle lazy tired ready",
    " active passive public private secret hidden visible obvious certain doubtful possible",
    " impossible likely useful useless important necessary perfect curious serious funny boring",
    " exciting ordinary special unusual ancient modern recent current former future final first",
    " second third last next previous main central northern southern eastern western upper lower",
    " inner outer left right middle single double whole entire half equal similar different various",
    " separate mutual natural artificial physical mental social political legal medical",
    " technical digital electric mechanical chemical biological musical royal noble sacred holy",
    " wild tame tall tiny huge vast massive solid liquid stable steady sudden gradual constant",
    " regular random precise vague exact rapid brief lasting permanent temporary modest generous",
    " greedy wise foolish clever brilliant gifted skilled patient loyal faithful innocent guilty",
    " healthy sick blind silent sleepy hungry bitter sweet sour spicy delicious tender fragile",
    " durable flexible rigid elegant fancy formal casual polite rude gracious nervous anxious",
    " eager willing reluctant confident bold fierce mighty grand splendid"
);

/// Singular nouns.
pub(super) const NOUNS: &str = concat!(
    " time year day week month hour minute morning evening night summer winter spring autumn season",
    " man woman child boy girl father mother brother sister son daughter uncle aunt cousin friend",
    " neighbor stranger teacher student doctor nurse lawyer judge farmer worker driver pilot sailor",
    " soldier officer guard captain king queen prince princess writer author poet artist painter",
    " singer dancer actor player coach chef waiter clerk manager director president minister mayor",
    " engineer scientist researcher professor librarian reporter editor publisher merchant customer",
    " house home room kitchen bedroom garden garage roof wall floor door window gate fence bridge",
    " road street path trail highway corner square park market store shop bank school college",
    " university library museum theater church temple castle palace tower hospital hotel restaurant",
    " office factory farm barn mill mine port harbor station airport train bus car truck bicycle",
    " boat ship plane engine wheel machine tool hammer knife rope chain hook bell clock watch lamp",
    " candle mirror table chair desk bed shelf box basket bag bottle cup bowl plate pot spoon fork",
    " city town village country island coast beach shore river lake ocean sea pond stream waterfall",
    " mountain hill valley canyon desert forest jungle field cave rock stone sand soil mud",
    " tree flower grass leaf root branch seed fruit apple orange lemon banana grape cherry tomato",
    " potato onion carrot bean rice wheat corn bread butter cheese milk cream sugar salt pepper",
    " honey soup salad meat chicken fish egg cake pie coffee tea wine beer juice water ice fire",
    " smoke wind rain snow storm cloud sky sun moon star planet earth world map compass flag",
    " dog cat horse cow pig sheep goat rabbit mouse rat fox wolf bear lion tiger elephant monkey",
    " bird eagle owl duck goose snake frog turtle spider bee butterfly ant shark whale dolphin",
    " head face eye ear nose mouth tooth neck shoulder arm hand finger chest heart back leg foot",
    " hair skin bone blood brain voice word name letter story book page chapter poem song music",
    " picture painting photograph film game card ball toy doll prize gift coin money price cost",
    " debt loan tax budget contract agreement promise plan project program report document note",
    " message question answer problem solution idea thought opinion belief theory method lesson",
    " test exam grade degree skill habit custom tradition law rule right duty crime prison trial",
    " war peace battle army weapon sword shield enemy victory defeat journey trip voyage flight",
    " visit meeting party festival holiday wedding birthday dinner lunch breakfast meal",
    " job career business company industry trade product service model system network signal",
    " computer keyboard screen server database file folder camera radio television telephone",
    " newspaper magazine article paragraph sentence number figure line circle triangle curve angle",
    " distance speed weight height depth length width size shape color sound smell taste touch",
    " light shadow darkness silence noise dream memory mind soul spirit fear hope joy grief anger",
    " love hate pride shame luck chance danger risk safety freedom power strength energy force",
    " wealth poverty hunger thirst sleep rest health disease fever wound pain medicine cure",
    " shirt dress coat hat shoe boot glove belt pocket button ring necklace crown blanket pillow",
    " carpet curtain towel soap brush ladder bucket barrel crate parcel envelope stamp ticket",
    " passport license key lock treasure diamond pearl gold copper metal wood cotton wool silk",
    " leather glass paper ink pencil pen notebook calendar schedule recipe formula experiment",
    " laboratory telescope microscope rocket satellite robot battery cable wire pipe valve pump"
);

/// Plural nouns.
pub(super) const PLURALS: &str = concat!(
    " days weeks months years hours minutes men women children boys girls parents friends neighbors",
    " teachers students doctors workers farmers drivers soldiers officers artists writers players",
    " houses rooms doors windows walls streets roads bridges shops schools offices buildings cities",
    " towns villages islands rivers lakes mountains hills fields forests trees flowers leaves roots",
    " seeds apples oranges eggs books pages stories letters words songs pictures games cards coins",
    " gifts plans projects reports documents notes messages questions answers problems solutions",
    " ideas thoughts opinions rules laws crimes battles weapons journeys visits meetings parties",
    " jobs companies products services models systems networks signals computers files cameras",
    " articles numbers figures lines circles shapes colors sounds dreams memories fears hopes",
    " chances risks shirts shoes rings keys tickets stones rocks stars planets clouds storms dogs",
    " cats horses birds sheep bees boats ships planes trains cars trucks wheels machines tools",
    " bottles cups plates boxes bags tables chairs lamps mirrors clocks bells ropes chains"
);

/// Verbs in the past tense that take an object.
pub(super) const TRANSITIVE: &str = concat!(
    " opened closed carried watched followed found lost built broke fixed painted cleaned washed",
    " bought sold paid borrowed returned kept hid showed taught learned studied read wrote told",
    " asked answered called invited visited welcomed helped saved protected attacked destroyed",
    " burned cut divided joined connected removed replaced changed moved lifted dropped threw",
    " caught held pulled pushed touched turned rolled filled covered wrapped packed loaded sent",
    " received delivered brought took stole gave offered accepted refused rejected approved denied",
    " believed understood forgot remembered recognized noticed saw heard felt smelled",
    " liked loved hated feared trusted admired praised blamed punished thanked greeted met",
    " left entered crossed reached passed climbed explored discovered searched examined tested",
    " measured counted weighed compared described explained proved solved designed planned drew",
    " created made produced grew planted harvested cooked baked served ate drank shared collected",
    " gathered arranged ordered sorted organized recorded published printed copied edited reviewed",
    " improved repaired restored defended guarded led guided managed controlled directed",
    " supported encouraged inspired surprised amused annoyed confused disturbed ignored avoided",
    " stopped started finished completed continued delayed canceled won earned chose wanted needed"
);

/// Verbs in the past tense without an object.
pub(super) const INTRANSITIVE: &str = concat!(
    " slept waited arrived departed walked ran jumped danced sang laughed smiled cried shouted",
    " whispered listened worked played rested traveled wandered returned appeared disappeared",
    " vanished emerged collapsed exploded fell rose stood sat lay lived died survived succeeded",
    " failed agreed argued complained apologized paused nodded waved",
    " relaxed recovered retired resigned voted marched sailed flew rode spoke talked thought looked"
);

/// Adverbs after a verb.
pub(super) const ADVERBS: &str = concat!(
    " slowly quickly quietly loudly carefully gently softly suddenly finally eagerly patiently",
    " politely proudly calmly happily sadly secretly openly",
    " honestly freely easily barely nearly almost always never often sometimes usually rarely",
    " together alone again twice forever today yesterday everywhere somewhere nowhere outside",
    " inside upstairs downstairs abroad away early late soon later before immediately eventually",
    " perfectly properly badly well fast hard deeply directly briefly constantly gradually steadily"
);

/// Prepositions.
pub(super) const PREPOSITIONS: &str = concat!(
    " in on at by with without near under over behind beside between through across along around",
    " beyond inside outside above below from toward against before after during until for about",
    " into onto within beneath"
);

/// Words that join two clauses.
pub(super) const CONJUNCTIONS: &str =
    " and and and but but while because when until before after although whenever whereas since so or as if";
