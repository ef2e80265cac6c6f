// Gatling scenario with the same journey as ../../locustfile.py.
//
//   LOAD_URL                base URL of the service [http://127.0.0.1:3000]
//   LOAD_TOKEN              API token, if the service requires one
//   LOAD_RECEIPTS           1 also creates receipts, which cannot be deleted
//   LOAD_MAX_ERROR_PERCENT  highest error rate of a step, in percent [1]
//   LOAD_MAX_P95_MS         highest response time of a step at the 95th percentile, in ms [500]
//   LOAD_USERS              number of concurrent users [10]
//   LOAD_SECONDS            duration in seconds [60]
//
// The names of all other resources start with `load-`. Each journey deletes its resources at the
// end, even if a step fails.
import {
  type ChainBuilder,
  constantConcurrentUsers,
  doIf,
  exec,
  exitBlockOnFail,
  forAll,
  getEnvironmentVariable,
  jsonPath,
  pause,
  scenario,
  type Session,
  simulation,
  StringBody,
} from "@gatling.io/core";
import { http, status } from "@gatling.io/http";

const setting = getEnvironmentVariable;
const number = (name: string, defaultValue: string): number =>
  Number(setting(name, defaultValue));

const token = setting("LOAD_TOKEN", "");
const json = { "Content-Type": "application/json" };
const order = { price_list: "#{name}", items: ["socks", "shoes"], tax: 0.09 };

/** A JSON body in which Gatling replaces session attributes such as `#{name}`. */
const body = (value: unknown) => StringBody(JSON.stringify(value));

const run = Date.now().toString(36);
/** Sets `name`, the prefix of the names of the journey's resources. */
const setName = exec((session: Session) => session.set("name", `load-${run}-${session.userId()}`));

const browse: ChainBuilder = exec(
  http("home").get("/").check(status().is(200), jsonPath("$.status").is("healthy")),
  http("list").get("/api/v2/entries?limit=10").check(status().is(200)),
);

const add = (count: number) => {
  const definition = `Number ${count}`;
  return http("add")
    .put(`/api/v2/entries/#{name}-${count}`)
    .headers(json)
    .body(body({ definition }))
    .check(status().is(201), jsonPath("$.definition").is(definition));
};

const pages = "/api/v2/entries?prefix=#{name}&limit=1";

const lookUp: ChainBuilder = exec(
  add(1),
  add(2),
  http("look up")
    .get("/api/v1/look/#{name}-1")
    .check(status().is(200), jsonPath("$.definition").is("Number 1")),
  http("look up missing word").get("/api/v1/look/#{name}-3").check(status().is(404)),
  http("first page").get(pages).check(status().is(200), jsonPath("$.next").saveAs("cursor")),
  http("last page")
    .get(`${pages}&after=#{cursor}`)
    .check(status().is(200), jsonPath("$.next").isNull()),
);

const spend: ChainBuilder = exec(
  http("store prices")
    .put("/api/v1/price-lists/#{name}")
    .headers(json)
    .body(body({ costs: { socks: 5, shoes: 60 } }))
    .check(status().is(201), jsonPath("$.costs.shoes").ofInt().is(60)),
  http("spend")
    .post("/api/v1/spending")
    .headers(json)
    .body(body(order))
    .check(status().is(200), jsonPath("$.total").ofDouble().is(70.85)),
);

const purchase = (step: string) =>
  http(step)
    .post("/api/v1/receipts")
    .headers({ ...json, "Idempotency-Key": "#{name}" })
    .body(body(order));

const buy: ChainBuilder = exec(
  purchase("buy").check(
    status().is(201),
    jsonPath("$.total").is("70.85"),
    jsonPath("$.id").saveAs("receipt"),
  ),
  purchase("buy again").check(status().is(201), jsonPath("$.id").isEL("#{receipt}")),
);

const upload: ChainBuilder = exec(
  http("upload")
    .post("/api/v1/datasets?name=#{name}")
    .header("Content-Type", "text/csv")
    .body(StringBody("word\nyoda\nbest\nhas\n"))
    .check(
      status().is(201),
      jsonPath("$.rows").ofInt().is(3),
      jsonPath("$.id").saveAs("dataset"),
    ),
  http("run")
    .post("/api/v1/datasets/#{dataset}/runs")
    .headers(json)
    .body(body({ kata: "nth-char", column: "word" }))
    .check(status().is(201), jsonPath("$.result.word").is("yes")),
);

const remove = (path: string) => http("remove").delete(path).check(status().in(204, 404));

const receipts = setting("LOAD_RECEIPTS") === "1" ? [buy] : [];

// A failed step ends the journey; its resources are still deleted.
const journey = scenario("katas").exec(
  setName,
  exitBlockOnFail().on(browse, lookUp, spend, ...receipts, upload),
  remove("/api/v2/entries/#{name}-1"),
  remove("/api/v2/entries/#{name}-2"),
  remove("/api/v1/price-lists/#{name}"),
  doIf((session: Session) => session.contains("dataset")).then(
    remove("/api/v1/datasets/#{dataset}"),
  ),
  pause(0, 1),
);

// Gatling's warm-up sends a request to Gatling's website.
const service = http.baseUrl(setting("LOAD_URL", "http://127.0.0.1:3000")).disableWarmUp();

export default simulation((setUp) => {
  setUp(
    journey.injectClosed(
      constantConcurrentUsers(number("LOAD_USERS", "10")).during(number("LOAD_SECONDS", "60")),
    ),
  )
    .protocols(token ? service.authorizationHeader(`Bearer ${token}`) : service)
    .assertions(
      forAll().failedRequests().percent().lte(number("LOAD_MAX_ERROR_PERCENT", "1")),
      forAll().responseTime().percentile(95).lte(number("LOAD_MAX_P95_MS", "500")),
    );
});
