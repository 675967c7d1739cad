"""The words that made-up data are put together from.

What belongs here: lists alone, in many languages and scripts on purpose. First and last names differ
from each other also when they are written in plain ASCII letters, which keeps e-mail addresses apart.
"""

from typing import Final, NamedTuple

FIRST_NAMES: Final = (
    "Aaliyah", "Adrián", "Agnieszka", "Aisha", "Alejandra", "Amelia", "Anders", "Anna", "Anthony",
    "Åsa", "Beatriz", "Benjamin", "Björn", "Brenda", "Carlos", "Caroline", "Chloé", "Christopher",
    "Daniel", "Deborah", "Diego", "Dwayne", "Eleanor", "Elif", "Emily", "Ethan", "Fatima", "Felix",
    "Françoise", "Gabriel", "Gloria", "Grace", "Günther", "Hannah", "Harold", "Héloïse", "Hiroshi",
    "Ibrahim", "Ingrid", "Isabella", "Jacob", "Jamal", "Jasmine", "Javier", "Jürgen", "Karen",
    "Katarzyna", "Kenji", "Kwame", "Latoya", "Leila", "Liam", "Linda", "Luís", "Łukasz", "Marcus",
    "María", "Matthew", "Mei", "Miguel", "Mohammed", "Nadia", "Naomi", "Niamh", "Noah", "Nuria",
    "Oliver", "Olumide", "Patricia", "Priya", "Quentin", "Rachel", "Rafael", "René", "Rosa",
    "Samantha", "Sinéad", "Søren", "Sofia", "Stanisław", "Tamika", "Thandiwe", "Thomas", "Tomáš",
    "Ulrike", "Valentina", "Victor", "Wei", "William", "Ximena", "Yasmin", "Yusuf", "Zoë", "Zsófia",
)  # fmt: skip

LAST_NAMES: Final = (
    "Abernathy", "Acheampong", "Ahmed", "Álvarez", "Andersson", "Baker", "Banerjee", "Bauer", "Bell",
    "Bianchi", "Bouchard", "Brooks", "Castillo", "Chen", "Chevalier", "Clark", "Coleman", "Cooper",
    "D'Angelo", "Dąbrowski", "Davis", "Delgado", "Diaz", "Dubois", "Dvořák", "Edwards", "Eriksen",
    "Evans", "Fernández", "Fischer", "Flores", "Foster", "Fujimoto", "García", "Gonçalves", "Graham",
    "Großmann", "Gustafsson", "Haddad", "Hansen", "Harris", "Hayes", "Hernández", "Hughes", "Hussein",
    "Iglesias", "Ivanov", "Jackson", "Jankowski", "Jensen", "Johnson", "Kamau", "Kaplan", "Keller",
    "Kelly", "Khan", "Kim", "Krüger", "Larsen", "Lefèvre", "Lewis", "Lindqvist", "López",
    "MacDonald", "Mahoney", "Martínez", "Mbeki", "McCarthy", "Mehta", "Mitchell", "Moreau", "Morgan",
    "Müller", "Nakamura", "Navarro", "Nguyen", "Novak", "O\u2019Brien", "Okafor", "Olsen", "Ortiz",
    "Özdemir", "Owens", "Papadopoulos", "Park", "Patel", "Peña", "Pereira", "Peterson", "Petrov", "Quinn",
    "Ramírez", "Reed", "Richter", "Rivera", "Roberts", "Rossi", "Russell", "Sánchez", "Schäfer",
    "Schmidt", "Silva", "Singh", "Šimić", "Smith", "Sørensen", "Suzuki", "Taylor", "Thompson",
    "Tremblay", "Turner", "Vasquez", "van der Berg", "Villanueva", "Wagner", "Walker", "Washington",
    "Weiß", "Williams", "Wójcik", "Wright", "Yamada", "Y\u0131lmaz", "Young", "Zhang", "Zimmermann",
)  # fmt: skip

JOB_TITLES: Final = (
    "Accounts Payable Clerk", "Area Manager", "Charge Nurse", "Chef de Cuisine", "Chief Engineer",
    "Director of Operations", "Dispatcher", "Facilities Coordinator", "Front Desk Agent",
    "Geschäftsführerin", "Housekeeping Supervisor", "HR Business Partner", "Kitchen Manager",
    "Logistics Planner", "Maintenance Technician", "Night Auditor", "Office Manager", "Payroll Analyst",
    "Project Manager", "Purchasing Agent", "Regional Director", "Shift Supervisor", "Site Manager",
    "Store Manager", "Systems Analyst", "Warehouse Associate", "",
)  # fmt: skip

#: Parts of host names, below the client's own reserved domain.
SITES: Final = (
    "north", "south", "harbor", "lakeside", "midtown", "airport", "campus", "riverside", "hq", "depot",
)  # fmt: skip

TEAMS: Final = (
    "Service Desk", "Field Service", "Network & Wi-Fi", "Business Applications", "Procurement",
    "Identity, Access & Security", "Point of Sale", "Kitchen Equipment", "Telephony", "Onboarding",
    "After-hours", "Reporting", "Facilities", "Desktop Engineering", "Major Incidents", "Vendor Desk",
)  # fmt: skip


class Model(NamedTuple):
    """A kind of device, as a unit's ``item`` names it."""

    name: str
    manufacturer: str
    category: str


MODELS: Final = (
    Model("Latitude 5440", "Dell", "Laptop"), Model("OptiPlex 7010", "Dell", "Desktop"),
    Model("P2423D", "Dell", "Monitor"), Model("EliteBook 840 G10", "HP", "Laptop"),
    Model("LaserJet Pro M404dn", "HP", "Printer"), Model("ThinkPad T14 Gen 4", "Lenovo", "Laptop"),
    Model("ThinkCentre M70q", "Lenovo", "Desktop"), Model("iPad (10th generation)", "Apple", "Tablet"),
    Model("MacBook Air 13", "Apple", "Laptop"), Model("TC22", "Zebra", "Handheld scanner"),
    Model("ZD421", "Zebra", "Label printer"), Model("TM-T88VII", "Epson", "Receipt printer"),
    Model("Catalyst 9200L", "Cisco", "Network switch"), Model("MR46", "Cisco", "Access point"),
    Model("Voyager 1472g", "Honeywell", "Handheld scanner"), Model("T54W", "Yealink", "Desk phone"),
    Model("Combi oven iCombi Pro 6-1/1", "RATIONAL", "Kitchen equipment"),
    Model("Geschirrspüler UC-M", "Winterhalter", "Kitchen equipment"),
)  # fmt: skip

#: Names of the three levels of categories; a comma and a trailing blank are in there on purpose, and
#: the third level's names come back under many parents.
CATEGORY_AREAS: Final = (
    "Hardware", "Software", "Network, Wi-Fi & VPN", "Accounts & Access", "Facilities ", "Point of Sale",
    "Téléphonie", "Kitchen", "Security", "Reporting",
)  # fmt: skip
CATEGORY_SUBJECTS: Final = (
    "Laptop", "Printer, scanner or copier", "Monitor", "Mobile device", "E-mail", "Payroll",
    "Inventory ", "Single sign-on", "Shared drive", "Remote access", "Other", "Gerät außer Betrieb",
)  # fmt: skip
CATEGORY_ACTIONS: Final = (
    "Broken", "New request", "Question", "Slow", "Password reset", "Replacement", "Other", "Setup",
    "Lost or stolen", "Update ",
)  # fmt: skip

REPLY_NAMES: Final = (
    "Acknowledge receipt", "Ask for a screenshot", "Password has been reset", "Closing: no answer",
    "Closing: solved", "Device is on its way", "Escalated to vendor", "Out of office hours",
    "Please restart", "Rückfrage", "Schedule a visit", "Thank you", "VPN instructions",
    "Wi-Fi instructions", "Waiting for parts", "Welcome aboard",
)  # fmt: skip

PROBLEMS: Final = (
    "{model} will not turn on", "{model}: screen flickers after the update", "Cannot log in on {model}",
    "Printer at the {site} front desk prints blank pages", "Wi-Fi drops every few minutes at {site}",
    "New starter on Monday: {person}", "Password reset for {person}", "Invoice export is empty",
    "Scanner {model} does not pair", "Bestellung: zwei Monitore für {person}", "Kühlraum meldet Fehler",
    "L\u2019imprimante de la réception est bloquée", "No se puede abrir el correo en {model}",
    "Label printer skips every second label", "VPN “authentication failed” since this morning",
    "Phone rings but no audio at {site}", "POS terminal frozen during lunch 😱", "Access to shared drive",
    "طابعة المكتب لا تعمل في {site}", "המחשב הנייד לא נדלק", "会議室のモニターが映らない",
    "Re: Fwd: still waiting for the replacement of {model}", "Battery of {model} swollen ⚠️",
)  # fmt: skip

REQUEST_TEXTS: Final = (
    "<p>Hello,</p><p>{problem}. I restarted it twice, no change.</p><p>Thanks,<br>{person}</p>",
    "<p>Hi team,</p><p>{problem}. This blocks the whole shift at <b>{site}</b>, please hurry.</p>",
    "<div>Guten Tag,<br><br>{problem}. Muss das Gerät getauscht werden?<br><br>Grüße<br>{person}</div>",
    "<p>Bonjour,</p><p>{problem}. Ça a commencé après la mise à jour d'hier soir.</p><p>{person}</p>",
    "<p>Buenos días:</p><ul><li>{problem}</li><li>¿Cuándo pueden venir?</li></ul><p>{person}</p>",
    "<p>Steps:</p>\r\n<ol>\r\n<li>Switch it on</li>\r\n<li>{problem}</li>\r\n</ol>\r\n<p>{person}</p>",
    "<p dir=\"rtl\">مرحباً، {problem}. نرجو المساعدة في أقرب وقت ممكن.</p><p>{person}</p>",
    "<p>{problem} 😕</p><p>Room 2.14, key at the desk. &amp; please call first!</p>",
)  # fmt: skip

ANSWER_TEXTS: Final = (
    "<p>Hi {person},</p><p>thank you for letting us know. A colleague looks into it today.</p>",
    "<p>Hello {person},</p><p>could you send us a <i>screenshot</i> and the serial number?</p>",
    "<p>Hi {person}, the part is ordered and arrives on Thursday. 👍</p>",
    "<p>Guten Tag {person},</p><p>das Passwort ist zurückgesetzt. Bitte melden Sie sich neu an.</p>",
    "<p>Bonjour {person},</p><p>le technicien passera demain matin entre 8 h et 10 h.</p>",
    "<p>{person},<br>\r\nsolved by replacing the cable. I am closing this.<br>\r\nRegards</p>",
    "<p dir=\"rtl\">שלום {person}, הטכנאי יגיע מחר בבוקר.</p>",
    "<p>Reply from the vendor:</p><blockquote>RMA 48-2231 approved &mdash; ship to depot.</blockquote>",
)  # fmt: skip

FOLLOW_UP_TEXTS: Final = (
    "<p>It works now, thank you! 🎉</p>", "<p>Still the same here, sorry.</p>",
    "<p>Any news on this?</p>", "<p>Serial number is on the back: see the photo.</p>",
    "<p>Danke, läuft wieder. Schönes Wochenende!</p>",
    "<p>Merci beaucoup, tout est rentré dans l'ordre.</p>",
    "<p>Tomorrow after 2&nbsp;pm would be best.\r\nUse the side entrance.</p>",
)  # fmt: skip

INTERNAL_TEXTS: Final = (
    "<p>Called, no answer. Trying again at 3.</p>",
    "<p>Third time this month for this site: check the <b>switch</b>, not the device.</p>",
    "<p>Warranty ends in 12 days, RMA before that.</p>",
    "<p>Kunde ist VIP, bitte bevorzugt behandeln.</p>",
    "<p>Root cause: expired certificate 🔒. Do not tell the customer yet.</p>",
    "<p>Waiting for purchasing: PO 4711 is with <i>Finance</i>.</p>",
)  # fmt: skip

REPLY_TEXTS: Final = (
    "<p>Thank you for your request. We will get back to you shortly.</p>",
    "<p>Please restart it:</p><ul><li>Hold the button</li><li>Wait</li><li>Switch it on</li></ul>",
    "<p>Wir haben Ihre Anfrage erhalten und melden uns in Kürze.</p><p>Ihr Service-Team</p>",
    "<p>We have not heard from you for a week and close this ticket. Just answer to open it again.</p>",
    "<p>Your device is on its way.\r\nExpected arrival: <b>two working days</b>.</p>",
    "<p>Notre équipe a bien reçu votre demande.</p>",
    "<p>Connect to <b>Staff-WiFi</b>, sign in with your e-mail address, and accept the certificate.</p>",
)  # fmt: skip

FILE_NAMES: Final = (
    "screenshot.png",
    "image001.png",
    "error log.txt",
    "Übersicht.txt",
    "photo.png",
)
