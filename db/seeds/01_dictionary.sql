-- A small dictionary of things; beyond its 200 words, phrases that nobody has ever used.
--
-- rows: 200, scales
-- fake: phrase catch_phrase
-- fake: author full_name
-- fake: year integer(1850, 2020)

INSERT INTO katas.entry (word, definition)
SELECT coalesce(split_part(line, ': ', 1), lower(phrase) || ' ' || n),
       coalesce(split_part(line, ': ', 2), format('a phrase of %s, first used in %s', author, year))
FROM pg_temp.fake
LEFT JOIN string_to_table($$abacus: a frame with beads on rods, for counting
acorn: the nut of an oak
alley: a narrow street between buildings
almanac: a yearly book of dates, tides and moons
amber: the hardened resin of ancient trees
anchor: a heavy hook that keeps a ship in its place
anvil: the iron block on which a smith hammers metal
apprentice: somebody who learns a trade from a master
apron: a cloth worn in front to keep clothes clean
archipelago: a group of islands
atlas: a book of maps
attic: the room under a roof
autumn: the season between summer and winter
avalanche: a mass of snow that slides down a mountain
axle: the rod on which a wheel turns
badger: a burrowing animal with a striped face
ballad: a song that tells a story
barley: a grain used for bread and beer
barometer: an instrument that measures the pressure of the air
barrel: a round wooden container with bulging sides
basalt: a dark rock that was once lava
beacon: a light or a fire that is seen from afar
beech: a tree with smooth grey bark
bellows: a bag that is squeezed to blow air into a fire
blizzard: a storm of wind and snow
bobbin: a reel that thread is wound on
bonfire: a large fire in the open
border: the line between two countries
bracket: a support that is fixed to a wall
bramble: a prickly bush that bears blackberries
brass: an alloy of copper and zinc
breeze: a light wind
bronze: an alloy of copper and tin
bucket: an open container with a handle, for carrying water
burrow: a hole that an animal has dug to live in
butter: a solid food made from cream
cabin: a small wooden house
calendar: a table of the days of a year
candle: a stick of wax with a wick that burns
canoe: a narrow boat that is paddled
canvas: a strong cloth for sails, tents and paintings
canyon: a deep valley with steep sides
caravan: a group that travels together through a desert
cedar: an evergreen tree with fragrant wood
cello: a large string instrument that is held between the knees
charcoal: wood that has been burnt without air
chisel: a tool with a sharp end, for cutting wood or stone
cider: a drink made from apples
cinnamon: a spice made from the bark of a tree
clay: earth that can be shaped when wet and hardens in fire
cliff: a steep face of rock
cloak: a loose outer garment without sleeves
clover: a small plant with three leaves
cobble: a rounded stone for paving
comet: a body of ice and dust with a tail that orbits the sun
compass: an instrument whose needle points north
copper: a reddish metal that conducts well
coral: a hard substance built by small sea animals
cradle: a small bed that rocks
crater: a hollow made by an impact or by a volcano
creek: a small stream
crumb: a very small piece of bread
current: the movement of water or of electricity in one direction
dairy: a place where milk is kept and made into food
dawn: the first light of the day
delta: the land where a river divides before the sea
dew: drops of water that form on cold surfaces at night
dialect: the form of a language that is spoken in one region
drizzle: light rain of very small drops
dune: a hill of sand made by the wind
dusk: the time when the light fades in the evening
easel: a stand for a painting
echo: a sound that comes back from a surface
eclipse: the passing of one heavenly body into the shadow of another
eddy: a small whirl in water or air
ember: a glowing piece of wood or coal
envelope: a paper cover for a letter
estuary: the wide mouth of a river, where tides come in
falcon: a fast bird of prey
fathom: a measure of depth of six feet
fern: a plant with feathery leaves and no flowers
ferry: a boat that takes people across water
fiddle: a violin, as it is played for dancing
fjord: a long inlet of the sea between cliffs
flannel: a soft woven cloth
flint: a hard stone that gives sparks
flour: grain that has been ground to powder
fog: a cloud that touches the ground
forge: the workshop of a smith
fossil: what is left in rock of something that once lived
foundry: a place where metal is melted and cast
frost: ice crystals that form on cold surfaces
furrow: the trench that a plough makes
galaxy: a system of very many stars
galley: the kitchen of a ship
garlic: a bulb with a strong taste
geyser: a spring that throws up hot water and steam
ginger: a root used as a spice
glacier: a mass of ice that moves slowly downhill
glade: an open space in a forest
granite: a hard rock of quartz and feldspar
gravel: small stones
grove: a small group of trees
gust: a sudden rush of wind
hammock: a hanging bed of cloth or net
harbour: a sheltered place for ships
harvest: the gathering of ripe crops
hazel: a small tree that bears nuts
hearth: the floor of a fireplace
hedge: a row of bushes that bounds a field
heron: a wading bird with long legs
hinge: the joint on which a door turns
honey: the sweet food that bees make
horizon: the line where the earth seems to meet the sky
icicle: a hanging spike of ice
inlet: a narrow arm of water that reaches into the land
iris: the coloured ring of the eye; also a flower
island: land with water all around it
ivy: an evergreen plant that climbs walls
jetty: a structure that reaches into the water, for boats to land at
journal: a daily record
juniper: an evergreen bush with blue berries
kayak: a small covered boat with a double paddle
keel: the beam along the bottom of a ship
kernel: the soft part inside of a nut
kettle: a pot with a spout, for boiling water
kiln: an oven for pottery or bricks
knoll: a small round hill
lagoon: shallow water cut off from the sea
lantern: a lamp in a case that lets light through
larch: a conifer that loses its needles in winter
lathe: a machine that turns wood or metal against a tool
lava: molten rock from a volcano
ledger: a book of accounts
lever: a bar that turns on a fixed point, for lifting
lichen: a growth of fungus and alga on stones and trees
lighthouse: a tower with a light that guides ships
linen: a cloth made from flax
loom: a machine for weaving
magnet: a body that attracts iron
maple: a tree with lobed leaves and sweet sap
marble: a stone that takes a polish
marsh: low land that is always wet
meadow: a field of grass and flowers
mercury: a metal that is liquid at room temperature
meteor: a small body that burns up in the air
mill: a machine or a building for grinding
mirror: a surface that reflects
mortar: the paste that holds bricks together
moss: a small green plant that grows in damp places
nectar: the sweet liquid that flowers make
needle: a thin pointed tool for sewing
nickel: a silvery metal
oar: a pole with a flat end, for rowing
oasis: a place in a desert where there is water
orbit: the path of one body around another
orchard: a field of fruit trees
osprey: a bird of prey that eats fish
otter: a swimming animal that eats fish
oyster: a shellfish that may hold a pearl
paddle: a short pole with a flat end, for moving a canoe
parchment: the skin of an animal prepared for writing
pasture: land where animals graze
pebble: a small stone made smooth by water
pendulum: a weight that swings from a fixed point
pepper: a hot spice made from dried berries
pier: a platform on pillars that reaches into the sea
pigment: a powder that gives paint its colour
plateau: a wide area of high, level land
plough: a tool that turns the soil over
pollen: the powder by which flowers are fertilised
pond: a small area of still water
pulley: a wheel with a groove for a rope, for lifting
quarry: a place where stone is cut from the ground
quartz: a hard clear mineral
quill: a pen made from a feather
raft: a flat boat of logs tied together
rapids: a part of a river that is steep and fast
raven: a large black bird
reed: a tall grass that grows in water
reef: a ridge of rock or coral near the surface of the sea
resin: the sticky liquid that trees give off
ridge: a long, narrow hilltop
rudder: the part of a boat that steers it
rust: the red layer that forms on wet iron
saddle: a seat for a rider
saffron: a yellow spice made from crocuses
sapling: a young tree
sextant: an instrument that measures angles, for finding a ship's position
shore: the land along the edge of water
silt: fine earth carried by water
slate: a grey rock that splits into thin plates
sleet: rain mixed with snow
spindle: a rod on which thread is twisted
spring: a place where water rises from the ground
sundial: a clock that tells the time by a shadow
tide: the rise and fall of the sea
timber: wood prepared for building
tundra: a cold plain without trees
valley: low land between hills$$, E'\n') WITH ORDINALITY AS words (line, n) USING (n)
ORDER BY n
-- What somebody has said about a word is left as it is.
ON CONFLICT (word) DO NOTHING;
