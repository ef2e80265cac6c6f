-- Price lists of four shops, to spend by.

INSERT INTO katas.price_list (name, costs) VALUES
  ('bakery', '{"rye bread":4.80,"wheat bread":3.90,"baguette":1.60,"croissant":1.45,"pretzel":0.95,"cheesecake":3.70,"apple pie":3.20,"coffee":2.60}'),
  ('clothes', '{"socks":5,"shoes":60,"sweater":30,"shirt":24.90,"trousers":49.90,"coat":129,"scarf":17.50,"gloves":14.95,"hat":22}'),
  ('hardware', '{"hammer":18.90,"saw":24.50,"screwdriver":6.75,"pliers":12.30,"screws":3.49,"nails":2.99,"wood glue":5.25,"sandpaper":1.80,"paint":21.40,"brush":4.10}'),
  ('stationery', '{"pencil":0.80,"fountain pen":29,"ink":6.50,"eraser":1.20,"ruler":2.40,"notebook":3.95,"envelopes":2.10,"stapler":8.60,"scissors":7.30}')
-- Somebody's own list of that name is left as it is.
ON CONFLICT (name) DO NOTHING;
