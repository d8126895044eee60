"""Pairs made by rule: what changes an answer (a number, a name, a date, a version, an opposite, a negation, changed
parts, a narrower scope) and what does not (politeness, typing errors, a word of the same meaning, contractions).

Written for this project, from no data set. Every pair is ("a", "b", same, kind).
"""

import random
import re

NAMES = """Aaron Abigail Adrian Alice Amir Anita Anton Astrid Benjamin Bianca Boris Bruno Camila Cecilia Chen Clara
Daniela Deepak Diego Dmitri Eleanor Elena Emil Esther Fatima Felix Fiona Gabriel Georgia Gustav Hannah Hassan Helga
Hugo
Ibrahim Ines Ingrid Isaac Ivan Jasmine Javier Joanna Jonas Julia Kamal Karim Katya Kenji Lars Laura Leila Lena Liam
Lucas
Magda Malik Marcus Martin Mei Miguel Mila Nadia Naomi Nikolai Nina Noah Olga Omar Oscar Pablo Paula Pedro Petra Priya
Quentin Rachel Rahul Raj Rebecca Ricardo Rosa Samir Sandra Sergei Sofia Stefan Tamara Tariq Teresa Thomas Uma
Valentina
Victor Wei Xavier Yusuf Yara Zoe Zara""".split()
SURNAMES = """Adler Bauer Castillo Dubois Eriksen Ferrari Gomez Hughes Ito Jansen Kowalski Larsen Mendes Novak Okafor
Petrov Quinn Rossi Schmidt Takeda Ueda Vargas Weber Xu Yilmaz Zhang""".split()
CITIES = """Amsterdam Athens Bangkok Barcelona Beijing Bogota Brussels Budapest Cairo Chicago Copenhagen Dallas Delhi
Denver Dublin Edinburgh Frankfurt Geneva Hamburg Hanoi Helsinki Houston Istanbul Jakarta Karachi Kyoto Lagos
Lima Lisbon
London
Manila Melbourne Miami Milan Montreal Moscow Mumbai Munich Nairobi Naples Oslo Osaka Perth Prague Quito Rome
Santiago Seattle
Seoul Shanghai Singapore Stockholm Sydney Taipei Tehran Tokyo Toronto Vancouver Vienna Warsaw Zurich""".split() + [
    "New York", "San Francisco", "Los Angeles", "Hong Kong", "Cape Town", "Mexico City", "Kuala Lumpur",
"Buenos Aires"]
COUNTRIES = """Argentina Australia Austria Belgium Brazil Canada Chile China Colombia Denmark Egypt Finland France
Germany Greece Hungary India Indonesia Ireland Israel Italy Japan Kenya Malaysia Mexico Morocco Nigeria Norway
Pakistan Peru
Poland Portugal Romania Russia Spain Sweden Switzerland Thailand Turkey Ukraine Vietnam""".split()
SOFTWARE = """Airflow Ansible Apache Cassandra Chrome ClickHouse Django Docker Drupal Elasticsearch Envoy Excel
Firefox Flask Git GitLab Gradle Hadoop HAProxy Istio Joomla Keycloak Kibana Kubernetes Laravel Magento MariaDB
Maven Memcached
MongoDB Neo4j Nginx NumPy Outlook Pandas Photoshop Podman PostgreSQL Prometheus PyTorch RabbitMQ Rails Redis Redshift
Salesforce Slack Snowflake Spark Splunk SQLite Swift Tableau TensorFlow Terraform Tomcat Vault Vue WordPress Zabbix
Zookeeper""".split()
LANGUAGES = "Python Java Rust Go Ruby Kotlin Scala Perl Haskell Swift PHP Lua Julia Erlang Elixir Fortran".split()
PRODUCTS = """headphones laptop tablet camera monitor keyboard printer router bicycle blender vacuum dishwasher fridge
mattress sofa backpack tent jacket sneakers watch guitar piano drone telescope""".split()
FOODS = ("rice pasta chicken salmon beef lentils quinoa potatoes eggs oats spinach broccoli mushrooms tofu "
         "beans").split()
ANIMALS = "cats dogs rabbits hamsters parrots goldfish horses goats chickens turtles snakes lizards".split()
ILLNESSES = ("asthma diabetes migraine insomnia eczema anemia arthritis bronchitis gout hepatitis malaria "
             "measles").split()
ROLES = "admins managers developers auditors interns contractors guests reviewers editors moderators".split()
TEAMS = "sales support finance marketing legal design security operations research procurement logistics".split()
MONTHS = """January February March April June July August September October November December""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FEATURES = """dark mode|two-step login|email alerts|automatic backups|location tracking|guest access|file sharing
|spell check|audit logging|rate limiting|auto renewal|screen recording|push messages|read receipts|single sign-on
|data roaming|parental controls|the firewall|the spam filter|the microphone|cookies|pop-ups|caching|compression
|public profiles""".replace("\n", "").split("|")
OBJECTS = """invoice|contract|report|subscription|ticket|payment|order|booking|shipment|employee record|backup|branch
|pull request|calendar event|meeting room|user account|mailing list|coupon|API key|webhook|dashboard""".replace(
    "\n", "").split("|")
CURRENCIES = "dollars euros pounds yen rupees francs pesos".split()
UNITS = [("miles", "kilometers"), ("pounds", "kilograms"), ("inches", "centimeters"), ("Celsius", "Fahrenheit"),
         ("gallons", "liters"), ("ounces", "grams"), ("acres", "hectares"), ("feet", "meters")]


def version(r):
    return r.choice([f"{r.randint(1, 22)}.{r.randint(0, 15)}",
        f"{r.randint(1, 9)}.{r.randint(0, 12)}.{r.randint(0, 9)}",
                     str(r.randint(2, 30)), f"v{r.randint(1, 9)}"])


def identity(r):
    return r.choice([str(r.randint(100, 99999)),
        f"{r.choice('ABCDKQRTX')}{r.choice('ABCDKQRTX')}-{r.randint(10, 9999)}",
                     f"{r.choice('PRSTUZ')}{r.randint(100, 9999)}", f"INV-{r.randint(1000, 9999)}"])


def amount(r):
    return str(r.choice([r.randint(2, 99), r.randint(1, 40) * 25, r.randint(1, 90) * 1000]))


def date(r):
    return r.choice([f"{r.choice(MONTHS)} {r.randint(1, 28)}", f"the {r.randint(4, 20)}th of {r.choice(MONTHS)}",
                     f"{r.choice(MONTHS)} {r.randint(1990, 2026)}", r.choice(DAYS),
                     f"20{r.randint(10, 26)}-{r.randint(10, 12)}-{r.randint(10, 28)}"])


SLOTS = {
    "name": lambda r: r.choice(NAMES), "full": lambda r: f"{r.choice(NAMES)} {r.choice(SURNAMES)}",
    "city": lambda r: r.choice(CITIES), "country": lambda r: r.choice(COUNTRIES), "soft": lambda r:
r.choice(SOFTWARE),
    "lang": lambda r: r.choice(LANGUAGES), "product": lambda r: r.choice(PRODUCTS), "food": lambda r: r.choice(FOODS),
    "animal": lambda r: r.choice(ANIMALS), "illness": lambda r: r.choice(ILLNESSES), "role": lambda r:
r.choice(ROLES),
    "team": lambda r: r.choice(TEAMS), "month": lambda r: r.choice(MONTHS), "day": lambda r: r.choice(DAYS),
    "feature": lambda r: r.choice(FEATURES), "object": lambda r: r.choice(OBJECTS), "money": lambda r:
r.choice(CURRENCIES),
    "version": version, "id": identity, "amount": amount, "date": date, "year": lambda r: str(r.randint(1985, 2026)),
    "small": lambda r: str(r.randint(2, 12)),
}

# [x|y|…] is an opposite: one of its words stands there. {slot} and {slot2} may be swapped when the line ends in "
# <>".
TEMPLATES = """
what is the population of {country}
who was the president of {country} in {year}
how far is {city} from {city2}
what time is it in {city} right now
hotels in {city} under {amount} {money}
find me a restaurant in {city} for {small} people on {day}
which museums in {city} are open on {day}
train from {city} to {city2} on {date} <>
cheapest bus ticket from {city} to {city2} <>
how long does it take to drive from {city} to {city2} <>
ship the {object} from {city} to {city2} <>
do I need a visa to travel from {country} to {country2} <>
how do I convert {amount} {money} to {money2} <>
convert {amount} {unit} to {unit2} <>
transfer {amount} {money} from {name} to {name2} <>
forward the email of {name} to {name2} <>
did {name} report to {name2} in {year} <>
migrate the data from {soft} to {soft2} <>
how to call {lang} code from {lang2} <>
translate this snippet from {lang} to {lang2} <>
replace {soft} with {soft2} in our stack <>
is {soft} faster than {soft2} <>
why is {city} more expensive than {city2} <>
does {food} contain more protein than {food2} <>
can {animal} eat {food}
how much {food} should I feed my {animal}
how many calories are in {amount} grams of {food}
how long do I boil {food} for {small} people
what are the symptoms of {illness}
is {illness} contagious
can I take ibuprofen if I have {illness}
how do I install {soft} {version} on Debian
what changed in {soft} {version}
does {soft} {version} support {lang} {version2}
how do I migrate from {soft} {version} to {version2} <>
is there a security fix for {soft} {version}
rollback {soft} to release {version}
when does support for {soft} {version} end
my build fails with {lang} {version}, what can I do
what is new in {lang} {version}
how to read a file line by line in {lang}
how do I sort a dictionary by value in {lang}
best {lang} books for people who know {lang2}
where is {object} {id}
what is the status of {object} {id}
cancel {object} {id}
who approved {object} {id}
print {object} {id} for {full}
delete the {object} of {full}
when was {object} {id} created
what did {name} say about the {object}
how many {product}s did we sell in {month} {year}
show revenue of the {team} team for {month} {year}
how many vacation days does {name} have left
what is the phone number of {full}
when is the birthday of {full}
schedule a call with {name} on {date}
remind me on {date} to pay {amount} {money}
what happened on {date}
who is on call on {day}
what is on the menu on {day}
compare sales of {month} and {month2}
what was the inflation rate of {country} in {year}
what is the capital of {country}
who won the election in {country} in {year}
what is the minimum wage in {country}
average salary of a nurse in {country}
give me {small} ideas for a birthday party
write a poem of {small} lines about {animal}
list the top {small} {product} brands
how many {animal} can live together in one cage
which {product} is best for less than {amount} {money}
is a {product} worth {amount} {money}
what is {amount} percent of {amount2}
what is {amount} plus {amount2}
what is {amount} divided by {amount2} <>
is {amount} greater than {amount2} <>
how do I [enable|disable] {feature}
how do I [turn on|turn off] {feature}
[activate|deactivate] {feature} for the {team} team
how can I [allow|block] {feature} for {role}
please [switch on|switch off] {feature} on my account
why does {soft} [start|stop] after an update
how do I [start|stop] the {soft} service
how do I [install|uninstall] {soft}
how do I [add|remove] {role} in {soft}
how do I [lock|unlock] a {object}
how do I [increase|decrease] the memory limit of {soft}
how do I [raise|lower] the timeout in {soft}
[upgrade|downgrade] {soft} to {version}
should I eat {food} [before|after] a workout
which tasks are due [before|after] {date}
list every {object} created [before|after] {date}
show all {object}s [above|below] {amount} {money}
{product}s that cost [more|less] than {amount} {money}
which city has the [highest|lowest] rents in {country}
who is the [oldest|youngest] employee in the {team} team
what is the [best|worst] month to visit {country}
what are the [advantages|disadvantages] of {soft}
is it [safe|dangerous] to give {food} to {animal}
why is {lang} [better|worse] than {lang2}
how do I [export|import] contacts in {soft}
how do I [upload|download] a file with {soft}
how do I [encrypt|decrypt] a disk
how do I [subscribe to|unsubscribe from] the newsletter
how can I [hide|show] my {object} list
[grant|revoke] access for {name}
[open|close] the {object} of {name}
[approve|reject] {object} {id}
how do I [connect|disconnect] my {product}
how do I [mute|unmute] {name}
is it [legal|illegal] to own {animal} in {country}
should I [buy|sell] shares of {soft}
how do I [create|delete] a {object} in {soft}
[archive|restore] the {object} {id}
how to [gain|lose] weight with {food}
how do I [accept|decline] a {object}
do the {role} work [inside|outside] {city}
which {role} [joined|left] in {month}
when is the [first|last] train to {city}
who gets the [incoming|outgoing] mail of {name}
is this {object} [public|private]
do the [north|south] gates of {city} open on {day}
[pause|resume] the {object} for {name}
how do I [compress|extract] a folder in {soft}
does {soft} work [with|without] {soft2}
can I use {soft} [with|without] a licence
which {role} can edit the {object}
which {role} should see the {object}
why should I use {soft}
why can I log in to {soft}
is {food} good for {animal}
are {role} allowed to delete a {object}
do I have to pay tax in {country}
can {role} see my {object}
does {soft} work on a {product}
will the {team} team be in {city} on {day}
reset the password of my {soft} account
what is the best way to learn {lang}
tips for a job interview in the {team} team
how do I clean my {product}
why does my {product} make a strange noise
how do I fix a broken {product}
what should I know before I move to {country}
explain how {soft} stores data
how do I keep {animal} healthy in winter
what do people in {country} eat for breakfast
how do I back up {soft}
what are common mistakes with {soft}
how do I get a refund for my {product}
""".strip().splitlines()

NEGATABLE = [("can I ", "can't I "), ("should I ", "should I not "), ("does ", "doesn't "), ("are ", "aren't "),
             ("is ", "isn't "), ("can {role} ", "can {role} not "), ("do I have to ", "don't I have to "),
             ("which {role} can ", "which {role} cannot "), ("which {role} should ", "which {role} should not "),
             ("why should I ", "why shouldn't I "), ("why can I ", "why can't I "), ("will ", "won't ")]
BEFORE = ["please ", "could you please ", "can you ", "hi, ", "hello, ", "hey there, ", "I'd like to know ",
          "tell me ", "I want to know ", "can you tell me ", "could you tell me ", "do you know ", "quick question: ",
          "I was wondering ", "would you ", "I need to know ", "sorry, ", "ok, ", "I would like you to ", "help me: ",
          "kindly ", "Hey, ", "Could you please ", "Please ", "Can you "]
AFTER = [" please", ", please", " thanks", ", thanks", ", thank you", "?", "??", ".", "!", " asap", " for me", " pls",
         "? Thanks!", " please?", ""]
SAME = [
        ("how do I ", ["how can I ", "how to ", "how do you ", "what is the way to ", "how does one ",
                       "how should I ", "what's the best way to "]),
        ("what is ", ["what's ", "tell me "]), ("who is ", ["who's "]), ("where is ", ["where's ", "locate "]),
        ("how many ", ["what number of ", "what is the number of "]), ("show ", ["display ", "list "]),
        ("find me ", ["search for ", "look for ", "find "]), ("delete ", ["remove ", "erase "]),
        ("fix ", ["repair ", "solve "]), ("cheapest ", ["least expensive ", "lowest priced "]),
        ("best ", ["top ", "greatest "]), ("buy ", ["purchase "]), ("print ", ["print out "]),
        ("enable ", ["activate ", "turn on ", "switch on "]), ("list ", ["show ", "enumerate "]),
        ("disable ", ["deactivate ", "turn off ", "switch off "]),
        ("turn on ", ["enable ", "activate ", "switch on "]),
        ("turn off ", ["disable ", "deactivate ", "switch off "]), ("start ", ["begin ", "launch "]),
        ("stop ", ["halt "]), ("increase ", ["raise ", "boost "]), ("decrease ", ["reduce ", "lower "]),
        ("cancel ", ["call off "]), ("symptoms ", ["signs "]), ("advantages ", ["benefits ", "pros "]),
        ("disadvantages ", ["drawbacks ", "cons "]), ("common ", ["frequent ", "typical "]),
        ("revenue ", ["income ", "turnover "]), ("average ", ["mean ", "typical "]), ("salary ", ["pay ", "wage "]),
        ("worth ", ["really worth "]), ("create ", ["make ", "set up "]), ("people ", ["persons "]),
        ("explain ", ["describe "]), ("strange ", ["weird ", "odd "]), ("schedule ", ["arrange ", "set up "]),
        ("under ", ["below "]), ("does it take ", ["will it take "]), ("forward ", ["send on "]),
        ("do I need ", ["is it necessary to have "]), ("tips ", ["advice "]), ("why does ", ["what makes "]),
        ("move to ", ["relocate to "]), ("learn ", ["study ", "pick up "])]
SCOPES = [" for {role}", " in {country}", " for the {team} team", " on weekends", " in {soft}", " since {year}",
          " without a password", " on my phone", " for beginners", " for free", " in winter", " per month",
          " on Windows", " in the test system"]
WIDTHS = re.compile(r"\{(\w+?)(2?)\}")


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def fill(self, template):
        """A template's slots, filled: {slot: words}; two of one kind differ."""
        slots = {}
        for kind, second in WIDTHS.findall(template):
            if kind == "unit":
                continue
            value = SLOTS[kind](self.r)
            while second and value == slots.get(kind):
                value = SLOTS[kind](self.r)
            slots[kind + second] = value
        if "{unit}" in template:
            slots["unit"], slots["unit2"] = self.r.choice(UNITS)
        return slots

    @staticmethod
    def text(template, slots, pole=0):
        template = re.sub(r"\[([^\]]+)\]", lambda m: m.group(1).split("|")[pole], template)
        return WIDTHS.sub(lambda m: slots[m.group(1) + m.group(2)], template)

    def typo(self, text):
        words = text.split()
        long = [i for i, word in enumerate(words) if len(word) >= 5 and word.isalpha() and word.islower()]
        if not long:
            return None
        i = self.r.choice(long)
        word, at = words[i], self.r.randint(1, len(words[i]) - 2)
        words[i] = self.r.choice([word[:at] + word[at + 1] + word[at] + word[at + 2:], word[:at] + word[at + 1:],
                                  word[:at] + word[at] + word[at:],
                                  word[:at] + self.r.choice("aeiourstn") + word[at + 1:]])
        return " ".join(words) if words[i] != word else None

    def reword(self, text):
        options = [(old, new) for old, news in SAME for new in news if old in text + " "]
        if not options:
            return None
        old, new = self.r.choice(options)
        return (text + " ").replace(old, new, 1).strip()

    def polite(self, text):
        text = self.r.choice(BEFORE) + text if self.r.random() < 0.75 else text
        return text + self.r.choice(AFTER)

    def dress(self, text, chance=0.35):
        """Changes that mean nothing, now and then; traps get them, too, so that they tell nothing."""
        if self.r.random() < chance:
            text = self.polite(text)
        if self.r.random() < 0.3:
            text = text[0].upper() + text[1:]
        if self.r.random() < 0.15 and not text.endswith(("?", ".", "!")):
            text += "?"
        if self.r.random() < 0.05:
            text = text.lower()
        return text

    def trap(self, template, swaps):
        """(a, b, kind) with two answers, or None."""
        slots = self.fill(template)
        base = self.text(template, slots)
        kinds = [key for key in slots if not key.startswith("unit")]
        ways = ["slot"] * bool(kinds) + ["pole"] * (2 * ("[" in template)) + ["swap"] * (2 * swaps) + ["not", "scope"]
        way = self.r.choice(ways)
        if way == "slot":
            key = self.r.choice(kinds)
            other = dict(slots)
            while other[key] in slots.values():
                other[key] = SLOTS[key.rstrip("2")](self.r)
            return base, self.text(template, other), key.rstrip("2")
        if way == "pole":
            changed = self.text(template, slots, 1)
            if self.r.random() < 0.4:  # the opposite, in other words
                changed = self.reword(changed) or changed
            return base, changed, "pole"
        if way == "swap":
            key = next(key for key in slots if key + "2" in slots)
            other = {**slots, key: slots[key + "2"], key + "2": slots[key]}
            return base, self.text(template, other), "swap"
        if way == "not":
            for old, new in NEGATABLE:
                old, new = (self.text(x, slots) if "{" not in x or "role" in slots else x for x in (old, new))
                if base.startswith(old):
                    return base, new + base[len(old):], "not"
            return None
        scope = self.r.choice(SCOPES)
        return base, base + self.text(scope, self.fill(scope)), "scope"

    def safe(self, template):
        slots = self.fill(template)
        base = self.text(template, slots)
        way = self.r.choice(["polite", "polite", "polite", "typo", "reword", "reword", "case", "both"])
        if way == "typo":
            changed = self.typo(base)
        elif way == "reword":
            changed = self.reword(base)
        elif way == "case":
            changed = self.r.choice([base.upper() if len(base) < 60 else base.lower(), base.lower(), base + "?",
                                     base[0].upper() + base[1:] + "?"])
        elif way == "both":
            changed = self.polite(self.reword(base) or base)
        else:
            changed = self.polite(base)
        return None if changed is None or changed == base else (base, changed, way)


def pairs(count, seed, templates=None):
    """`count` pairs, about half of them traps: (a, b, same, kind, template's number)."""
    maker, out = Maker(seed), []
    lines = list(enumerate(TEMPLATES))
    if templates is not None:
        lines = [line for line in lines if line[0] in templates]
    while len(out) < count:
        number, line = maker.r.choice(lines)
        swaps, template = line.endswith("<>"), line.removesuffix(" <>")
        same = maker.r.random() < 0.45
        made = maker.safe(template) if same else maker.trap(template, swaps)
        if made is None:
            continue
        a, b, kind = made
        if not same:
            b = maker.dress(b)
        if maker.r.random() < 0.3:
            a = maker.dress(a, 0.2)
        if maker.r.random() < 0.5:
            a, b = b, a
        if a != b:
            out.append((a, b, int(same), kind, number))
    return out


if __name__ == "__main__":
    for pair in pairs(40, 1):
        print(pair)
