package katas;

import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.gatling.javaapi.core.*;
import io.gatling.javaapi.http.*;
import java.io.File;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/** Runs the journey with {@code LOAD_USERS} users; docs/OPERATIONS.md lists the variables. */
public final class KatasSimulation extends Simulation {
    /** A variable in a step. Gatling replaces it in paths, headers and bodies. */
    private static final Pattern VARIABLE = Pattern.compile("#\\{(\\w+)}");

    private static final Journey JOURNEY = Journey.read(new File("../journey.json"));
    private static final boolean RECEIPTS = setting("LOAD_RECEIPTS", "0").equals("1");

    public KatasSimulation() {
        int users = Integer.parseInt(setting("LOAD_USERS", "10"));
        int seconds = Integer.parseInt(setting("LOAD_SECONDS", "60"));
        double maxErrorPercent = Double.parseDouble(setting("LOAD_MAX_ERROR_PERCENT", "1"));
        int maxP95 = Integer.parseInt(setting("LOAD_MAX_P95_MS", "500"));
        setUp(scenario().injectClosed(constantConcurrentUsers(users).during(seconds)))
                .protocols(protocol())
                .assertions(
                        forAll().failedRequests().percent().lte(maxErrorPercent),
                        forAll().responseTime().percentile(95).lte(maxP95));
    }

    private static String setting(String name, String defaultValue) {
        return Optional.ofNullable(System.getenv(name)).orElse(defaultValue);
    }

    private static HttpProtocolBuilder protocol() {
        // Gatling's warm-up sends a request to Gatling's website.
        HttpProtocolBuilder http = HttpDsl.http
                .baseUrl(setting("LOAD_URL", "http://127.0.0.1:3000"))
                .disableWarmUp();
        String token = setting("LOAD_TOKEN", "");
        return token.isEmpty() ? http : http.authorizationHeader("Bearer " + token);
    }

    /** A failed step ends the journey; its resources are still deleted. */
    private static ScenarioBuilder scenario() {
        List<ChainBuilder> steps = JOURNEY.steps().stream()
                .filter(step -> RECEIPTS || !step.permanent())
                .map(step -> exec(request(step)))
                .toList();
        ScenarioBuilder scenario = CoreDsl.scenario("katas")
                .exec(session -> session.set("name", "load-" + UUID.randomUUID()))
                .exec(exitBlockOnFail().on(exec(steps)));
        for (Journey.Step step : JOURNEY.cleanup()) {
            scenario = scenario.exec(
                    doIf(session -> VARIABLE.matcher(step.path()).results()
                            .allMatch(variable -> session.contains(variable.group(1))))
                            .then(exec(request(step))));
        }
        Duration pause = Duration.ofMillis(Math.round(JOURNEY.pauseSeconds() * 1000));
        return scenario.exec(pause(Duration.ZERO, pause));
    }

    private static HttpRequestActionBuilder request(Journey.Step step) {
        HttpRequestActionBuilder request = http(step.name())
                .httpRequest(step.method(), step.path())
                .headers(step.headers())
                .check(status().in(step.statuses()));
        if (step.json() != null) {
            request = request
                    .header("Content-Type", "application/json")
                    .body(StringBody(step.json().toString()));
        }
        if (step.text() != null) {
            request = request.body(StringBody(step.text()));
        }
        for (var field : step.expect().entrySet()) {
            request = request.check(field(field.getKey())
                    .is(session -> resolve(field.getValue().toString(), session)));
        }
        for (var variable : step.save().entrySet()) {
            request = request.check(jsonPath("$." + variable.getValue()).saveAs(variable.getKey()));
        }
        return request;
    }

    /** A check of a field of the response, as JSON: a number differs from a string with its digits. */
    private static CheckBuilder.Validate<String> field(String name) {
        return bodyString().transform(body -> {
            try {
                JsonNode value = Journey.JSON.readTree(body).get(name);
                return value == null ? "no field " + name : value.toString();
            } catch (JsonProcessingException error) {
                return "not JSON: " + body;
            }
        });
    }

    private static String resolve(String template, Session session) {
        return VARIABLE.matcher(template).replaceAll(match -> session.getString(match.group(1)));
    }
}
